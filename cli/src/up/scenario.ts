// The demonstration: a Pod and a device on an edge node, through an outage of the cloud. Every step looks at the real thing: the Kubernetes
// API, the page that the Pod serves, the device's MQTT topics. A step that does not come true fails the run.
import type { Clock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import { CONFIG_MAPS, DEVICE_STATUSES, DEVICES, NODES, PODS, type Pod } from '@skerry/common/kube/resources';
import type { LocalDevice } from './local-device.js';
import type { LinkMode } from './proxy.js';
import type { Report } from './report.js';
import { NODE } from './stack.js';
import type { Waiter } from './wait.js';

export interface World {
  readonly kube: KubeClient;
  readonly waiter: Waiter;
  readonly report: Report;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly setLink: (mode: LinkMode) => void;
  readonly pageUrl: string;
  /** Puts the example's objects into the cluster. */
  readonly applyExample: () => Promise<void>;
  /** True once the engine on the node knows the Pod. */
  readonly delivered: (uid: string) => Promise<boolean>;
  /** Kills a process of the Pod, as a crash would. */
  readonly killProcess: (pid: number) => void;
  readonly openDevice: () => Promise<LocalDevice>;
}

const POD = { namespace: 'default', name: 'page' };
const DEVICE = { namespace: 'default', name: 'thermostat' };
const PROPERTY = 'temperature';

export async function runScenario(
  world: World,
  cut: { readonly mode: 'cut' | 'silent'; readonly seconds: number },
): Promise<void> {
  await podComesUp(world);
  await deviceObeys(world);
  await outage(world, cut);
}

async function podComesUp(world: World): Promise<void> {
  const { kube, waiter, report } = world;
  report.section('A Pod on the edge node');
  await report.step('kubectl apply of ConfigMap, Pod, DeviceModel, Device', world.applyExample);
  const pod = await report.step('Pod scheduled', () =>
    waiter.until<Pod>('Pod page is bound to a node', async () => {
      const seen = await kube.get(PODS, POD);
      return seen.spec?.nodeName === NODE ? seen : undefined;
    }),
  );
  const uid = pod.metadata?.uid ?? '';
  await report.step('Pod delivered to the node', () =>
    waiter.until('the engine knows the Pod', async () => ((await world.delivered(uid)) ? true : undefined)),
  );
  await report.step('Pod Running', () => waiter.until('Pod page is Running and Ready', () => readyPod(kube)));
  await report.step(
    `page fetched from ${world.pageUrl}`,
    () => waiter.until('the page answers', () => fetchPage(world)),
    (page) => page.text,
  );
}

async function deviceObeys(world: World): Promise<void> {
  const { waiter, report } = world;
  report.section('A device behind the node');
  await report.step(
    'thermostat online, its temperature in the cloud',
    () =>
      waiter.until('DeviceStatus has a reported temperature', async () => {
        const status = await twinStatus(world);
        return status.state === 'online' && status.reported !== undefined ? status : undefined;
      }),
    (status) => `${status.reported} °C`,
  );
  await report.step('desired temperature 23.5 set in the cloud', () => setDesired(world, '23.5'));
  await report.step('obeyed by the device and reported back', () => reportedBecomes(world, '23.5'));
}

async function outage(world: World, cut: { readonly mode: 'cut' | 'silent'; readonly seconds: number }): Promise<void> {
  const { kube, waiter, report, clock, signal } = world;
  report.section(`The cloud is ${cut.mode === 'cut' ? 'cut off' : 'black-holed'} for ${cut.seconds} s`);
  const restartsBefore = await waiter.until('the restart count is known', () => restartCount(kube));
  const device = await waiter.until('the broker takes a local client', world.openDevice);
  try {
    const startMs = clock.monotonicMs();
    world.setLink(cut.mode);
    const before = await report.step('page still served', () =>
      waiter.until('the page answers', () => fetchPage(world)),
    );
    const carried = await report.step('changes made in the cloud meanwhile: desired 18, a new message', async () => {
      await setDesired(world, '18');
      await setMessage(world, 'Hello after the outage');
      return 2;
    });
    await report.step(
      `the Pod's process (pid ${before.pid}) killed, restarted by the engine`,
      async () => {
        world.killProcess(before.pid);
        return waiter.until('another process serves the page', async () => {
          const page = await fetchPage(world);
          return page.pid === before.pid ? undefined : page;
        });
      },
      (page) => `pid ${page.pid}`,
    );
    await report.step('the device is still served: expected 26 over local MQTT, obeyed', async () => {
      await device.expect(PROPERTY, '26');
      await waiter.until('actual temperature is 26', async () =>
        sameNumber(await device.actual(PROPERTY), '26') ? true : undefined,
      );
    });
    const leftMs = cut.seconds * 1_000 - (clock.monotonicMs() - startMs);
    await report.step('waiting until the outage has lasted its time', () => clock.sleep(Math.max(leftMs, 0), signal));
    world.setLink('up');
    const restoredMs = clock.monotonicMs();
    await report.step(
      'link restored: both sides agree again',
      async () => {
        await waiter.until('the restart of the container is known in the cloud', async () =>
          (await restartCount(kube)) > restartsBefore ? true : undefined,
        );
        await reportedBecomes(world, '18');
        await waiter.until('the new message is served', async () =>
          (await fetchPage(world)).text.startsWith('Hello after the outage') ? true : undefined,
        );
        await waiter.until('the node is Ready', () => readyNode(kube));
        await waiter.until('the Pod is Ready', () => readyPod(kube));
      },
      () => `converged in ${Math.round(clock.monotonicMs() - restoredMs)} ms, ${carried + 1} changes carried, 0 lost`,
    );
  } finally {
    world.setLink('up');
    await device.close();
  }
}

/** Resolves with the Pod when it is Running and its Ready condition is True. */
async function readyPod(kube: KubeClient): Promise<Pod | undefined> {
  const pod = await kube.get(PODS, POD);
  const ready = pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
  if (pod.status?.phase === 'Failed')
    throw new SkerryError('internal', `Pod failed: ${pod.status.reason} ${pod.status.message}`);
  return pod.status?.phase === 'Running' && ready ? pod : undefined;
}

export async function readyNode(kube: KubeClient): Promise<true | undefined> {
  const node = await kube.get(NODES, { name: NODE });
  return node.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ? true : undefined;
}

interface Page {
  readonly text: string;
  readonly pid: number;
}

async function fetchPage(world: World): Promise<Page> {
  const response = await fetch(world.pageUrl, { signal: AbortSignal.timeout(2_000) });
  const text = (await response.text()).trim();
  const pid = Number(/pid (\d+)$/.exec(text)?.[1]);
  if (!response.ok || !Number.isInteger(pid))
    throw new SkerryError('internal', `unexpected page: ${text.slice(0, 100)}`);
  return { text, pid };
}

async function restartCount(kube: KubeClient): Promise<number> {
  const pod = await kube.get(PODS, POD);
  return pod.status?.containerStatuses?.[0]?.restartCount ?? 0;
}

async function twinStatus(world: World): Promise<{ state?: string; reported?: string }> {
  const { status } = await world.kube.get(DEVICE_STATUSES, DEVICE);
  const reported = status?.twins?.find((twin) => twin.propertyName === PROPERTY)?.reported?.value;
  return { ...(status?.state !== undefined && { state: status.state }), ...(reported !== undefined && { reported }) };
}

async function reportedBecomes(world: World, value: string): Promise<void> {
  await world.waiter.until(`DeviceStatus reports ${value}`, async () =>
    sameNumber((await twinStatus(world)).reported, value) ? true : undefined,
  );
}

/** Tried until the API server takes it: it may be restarting at this very moment. */
function setDesired({ kube, waiter }: World, value: string): Promise<unknown> {
  return waiter.until(`desired ${PROPERTY} = ${value} is written`, async () => {
    const device = await kube.get(DEVICES, DEVICE);
    const properties = (device.spec?.properties ?? []).map((property) =>
      property.name === PROPERTY ? { ...property, desired: { value } } : property,
    );
    return kube.patch(DEVICES, DEVICE, { type: 'merge', body: { spec: { properties } } });
  });
}

function setMessage({ kube, waiter }: World, message: string): Promise<unknown> {
  return waiter.until('the new message is written', () =>
    kube.patch(CONFIG_MAPS, POD, { type: 'merge', body: { data: { message } } }),
  );
}

/** "18" and "18.0" are the same temperature. */
function sameNumber(a: string | undefined, b: string): boolean {
  return a !== undefined && a !== '' && Number(a) === Number(b);
}
