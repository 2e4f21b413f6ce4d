// Edgecore in this process, on a real disk, between a hub over mTLS and a sidecar over its unix socket.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientDuplexStream, ClientReadableStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { createLifecycle, type Lifecycle } from '@skerry/common/lifecycle';
import type { Entry } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import {
  type AppendLogResponse,
  type CallResponse,
  CloudCallServiceClient,
  type GetStatusResponse,
  MetaServiceClient,
  type ReportRequest,
  type ReportResponse,
  ReportServiceClient,
  Settled_Outcome,
  StatusServiceClient,
  type WatchResponse,
} from '@skerry/gen/skerry/edge/v1/edge';
import { Done_Outcome, Goodbye_Reason } from '@skerry/gen/skerry/link/v1/link';
import { openEdgecore } from '../src/app.js';
import { parseEdgecoreOptions } from '../src/config/options.js';
import { createSoloHub, type SoloHub } from '../src/solo-hub/solo-hub.js';
import type { Launcher } from '../src/supervisor/launcher.js';

const clock = systemClock();
const logger = nullLogger();
const POD = 'pod/ns/web/u1';
const STATUS = 'podstatus/ns/web/u1';

let dir: string;
let hub: SoloHub;
let edge: Lifecycle | undefined;
let closers: (() => void)[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sk-'));
  hub = await createSoloHub({ clock, logger });
  await hub.start();
  closers = [];
});
afterEach(async () => {
  for (const close of closers) close();
  await edge?.stop();
  edge = undefined;
  await hub.stop();
  await rm(dir, { recursive: true, force: true });
});

/** A sidecar that runs and does nothing: the tests speak in its place. */
const idle: Launcher<string> = async () => {
  let end: (how: string) => void = () => {};
  const exited = new Promise<string>((resolve) => {
    end = resolve;
  });
  return { pid: process.pid, exited, terminate: () => end('exit code 0') };
};

async function startEdge(): Promise<void> {
  const flags = { node: 'edge-1', hub: `127.0.0.1:${hub.port()}`, state: dir, runtime: 'fake', token: hub.token };
  const options = parseEdgecoreOptions(Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]));
  const components = await openEdgecore(options, { clock, logger, launch: idle });
  edge = createLifecycle({ components, stopTimeoutMs: 8_000, clock, logger });
  await edge.start();
}

async function stopEdge(): Promise<void> {
  for (const close of closers.splice(0)) close();
  await edge?.stop();
  edge = undefined;
}

function client<T extends { close(): void }>(Client: Parameters<typeof unixClient<T>>[0]): T {
  const made = unixClient(Client, join(dir, 'run/edgecore.sock'));
  closers.push(() => made.close());
  return made;
}

async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const endMs = clock.monotonicMs() + 15_000;
  while (clock.monotonicMs() < endMs) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await clock.sleep(10);
  }
  throw new Error(`did not happen: ${what}`);
}

const entry = (version: string, text = version): Entry => ({
  version,
  payload: Buffer.from(text),
  absent: false,
  references: [],
});

/** Watches and keeps what came as text: "put key version", "deleted key", "listed synced". */
function watch(...prefixes: string[]): string[] {
  const seen: string[] = [];
  const call: ClientReadableStream<WatchResponse> = client(MetaServiceClient).watch({ prefixes });
  call.on('data', ({ event }: WatchResponse) => {
    if (event?.$case === 'put') seen.push(`put ${event.value.key} ${event.value.version}`);
    if (event?.$case === 'deleted') seen.push(`deleted ${event.value.key}`);
    if (event?.$case === 'listed') seen.push(`listed ${event.value.synced}`);
  });
  call.on('error', () => {});
  closers.push(() => call.cancel());
  return seen;
}

interface Told {
  readonly responses: string[];
  send(item: NonNullable<ReportRequest['item']>): void;
  readonly ended: Promise<string>;
}

function report(sidecar: string, controller: string): Told {
  const responses: string[] = [];
  const call: ClientDuplexStream<ReportRequest, ReportResponse> = client(ReportServiceClient).report();
  call.on('data', ({ event }: ReportResponse) => {
    if (event?.$case === 'stored') responses.push(`stored ${event.value.version}`);
    if (event?.$case === 'settled')
      responses.push(`${Settled_Outcome[event.value.outcome]} ${event.value.version} ${event.value.code}`);
  });
  const ended = new Promise<string>((resolve) => {
    call.on('error', (error) => resolve(error.message));
    call.on('end', () => resolve(''));
  });
  closers.push(() => call.cancel());
  call.write({ item: { $case: 'start', value: { sidecar, controller } } });
  return { responses, ended, send: (item) => void call.write({ item }) };
}

const putItem = (key: string, version: string, kind: 'put' | 'putDurable' = 'put') => ({
  $case: kind,
  value: { key, version, payload: Buffer.from(`{"v":"${version}"}`), absent: false, references: [] },
});

const status = (): Promise<GetStatusResponse> => unary((done) => client(StatusServiceClient).getStatus({}, done));
const isConnected = () => until('connected', async () => (await status()).link?.kubeAttached || undefined);

describe('edgecore', () => {
  test('joins, takes desired state to disk and to its watchers, also with the hub away', async () => {
    hub.kube.set(POD, entry('1'));
    hub.kube.set('secret/ns/s', entry('s1', 'hunter2'));
    hub.device.set('device/ns/d', entry('d1'));
    await startEdge();
    const pods = watch('pod/', 'secret/');
    await until('synced', () => pods.includes('listed true') || undefined);
    expect(pods.filter((line) => line.startsWith('put')).sort()).toEqual([`put ${POD} 1`, 'put secret/ns/s s1']);
    expect(pods.some((line) => line.includes('device'))).toBe(false);

    hub.kube.set(POD, entry('2'));
    await until('update', () => pods.includes(`put ${POD} 2`) || undefined);
    hub.kube.remove(POD);
    await until('delete', () => pods.includes(`deleted ${POD}`) || undefined);
    expect((await readFile(join(dir, 'meta/meta.db'))).includes('hunter2')).toBe(false);

    await stopEdge();
    await hub.stop();
    await startEdge();
    const offline = watch('secret/', 'device/');
    await until('listed', () => offline.find((line) => line.startsWith('listed')));
    expect(offline.at(-1)).toBe('listed true');
    expect(offline.slice(0, -1).sort()).toEqual(['put device/ns/d d1', 'put secret/ns/s s1']);
    expect((await status()).link).toMatchObject({ kubeAttached: false });
  });

  test('tells the Node and what sidecars report, and gives the answers back', async () => {
    await startEdge();
    await isConnected();
    const engine = report('engine', 'kube');
    engine.send(putItem(STATUS, '1'));
    engine.send({ $case: 'complete', value: {} });
    engine.send({ $case: 'alive', value: { ok: true, reason: '' } });
    await until('answer', () => engine.responses.includes('OUTCOME_APPLIED 1 ') || undefined);
    const node = await until('ready node', () => {
      const text = hub.kube.reported.get('node//edge-1');
      return text?.includes('EngineReady') ? text : undefined;
    });
    expect(JSON.parse(node)).toMatchObject({ metadata: { name: 'edge-1' }, status: { capacity: { pods: '110' } } });

    hub.kube.settleNext({ outcome: Done_Outcome.OUTCOME_REJECTED, code: 'Forbidden', reason: 'no' });
    engine.send(putItem(STATUS, '2'));
    await until('rejection', () => engine.responses.includes('OUTCOME_REJECTED 2 Forbidden') || undefined);
    engine.send({ $case: 'deleted', value: { key: STATUS } });
    await until('forgotten', () => (hub.kube.reported.has(STATUS) ? undefined : true));
    expect((await status()).link).toMatchObject({ state: 'connected', pendingUp: 0 });
  });

  test('keeps a durable status over its own restart and delivers it when there is a hub', async () => {
    await startEdge();
    await isConnected();
    await hub.stop();
    const engine = report('engine', 'kube');
    engine.send(putItem(STATUS, 'terminal', 'putDurable'));
    await until('stored', () => engine.responses.includes('stored terminal') || undefined);
    await stopEdge();
    await hub.start();
    await startEdge();
    await until('delivered', () => hub.kube.reported.get(STATUS));
    await stopEdge();
    await startEdge();
    await stopEdge();
    // Opening rewrites the file: what was answered is gone from it.
    expect((await readFile(join(dir, 'meta/meta.db'), 'utf8')).includes('outbox:')).toBe(false);
  });

  test('delivers events in order once, over a hub that goes and comes', async () => {
    await startEdge();
    await isConnected();
    const reports = client(ReportServiceClient);
    const append = (text: string) =>
      unary<AppendLogResponse>((done) =>
        reports.appendLog({ stream: 'kube-events', payloads: [Buffer.from(text)] }, done),
      );
    expect(await append('e1')).toEqual({ n: 1n });
    await until('first', () => hub.kube.logged.includes('e1') || undefined);
    await hub.stop();
    await append('e2');
    await append('e3');
    await hub.start();
    await until('rest', () => hub.kube.logged.includes('e3') || undefined);
    expect(hub.kube.logged).toEqual(['e1', 'e2', 'e3']);
    await expect(unary((done) => reports.appendLog({ stream: 'other', payloads: [] }, done))).rejects.toMatchObject({
      code: 'invalid_argument',
    });
  });

  test('passes calls on, and refuses them at once when nobody is there', async () => {
    await startEdge();
    await isConnected();
    const calls = client(CloudCallServiceClient);
    const call = (method: string, controller = 'kube') =>
      unary<CallResponse>((done) =>
        calls.call({ controller, method, payload: Buffer.from('hi'), timeoutMs: 5_000 }, done),
      );
    expect((await call('echo')).payload.toString()).toBe('hi');
    await expect(call('other')).rejects.toMatchObject({ code: 'unsupported' });
    await expect(call('echo', 'other')).rejects.toMatchObject({ code: 'invalid_argument' });
    hub.kube.attach(false);
    await until('away', async () => ((await status()).link?.kubeAttached ? undefined : true));
    await expect(call('echo')).rejects.toMatchObject({ code: 'unavailable' });
    hub.kube.attach(true);
    await isConnected();
    expect((await call('echo')).payload.toString()).toBe('hi');
  });

  test('goes on above a generation that the hub has seen, and after the wait that it asked for', async () => {
    hub.refuseNext({ reason: Goodbye_Reason.REASON_STALE_GENERATION, knownGeneration: 41n });
    await startEdge();
    await isConnected();
    const generations = () => hub.hellos.map(({ role }) => (role?.$case === 'edge' ? role.value.generation : 0n));
    expect(generations()).toEqual([1n, 42n]);
    const saidMs = clock.monotonicMs();
    hub.say({ reason: Goodbye_Reason.REASON_ADMISSION, retryAfterMs: 700, message: 'busy' });
    await until('again', () => hub.hellos.length === 3 || undefined);
    expect(clock.monotonicMs() - saidMs).toBeGreaterThanOrEqual(690);
    await stopEdge();
    await startEdge();
    await isConnected();
    expect(generations().slice(0, 3)).toEqual([1n, 42n, 43n]);
    expect(generations()[3]).toBeGreaterThan(43n);
    const boots = hub.hellos.map(({ role }) => (role?.$case === 'edge' ? role.value.bootId : ''));
    expect(new Set(boots).size).toBe(2);
    // The connection in the middle may have ended before its first one.
    await until('heartbeats', () => hub.heartbeats() >= 2 || undefined);
  });

  test('with a store cut at its end or damaged, is unsynced until the cloud has said everything', async () => {
    hub.kube.set(POD, entry('1'));
    hub.kube.set('pod/ns/db/u2', entry('1'));
    await startEdge();
    await until('synced', async () => (await status()).store?.synced || undefined);
    await stopEdge();
    await hub.stop();

    const file = join(dir, 'meta/meta.db');
    const content = await readFile(file);
    await writeFile(file, content.subarray(0, content.length - 9));
    await startEdge();
    const torn = watch('pod/');
    await until('listed', () => torn.find((line) => line.startsWith('listed')));
    expect(torn.at(-1)).toBe('listed false');
    expect((await status()).store).toMatchObject({ synced: false, quarantined: 1 });
    await hub.start();
    await until('synced', () => torn.includes('listed true') || undefined);
    expect(torn.filter((line) => line.startsWith('deleted'))).toEqual([]);
    await stopEdge();

    content[30] = 0;
    await writeFile(file, content);
    await startEdge();
    const repaired = watch('pod/');
    await until('repaired', () => repaired.includes('listed true') || undefined);
    expect(repaired.filter((line) => line.startsWith('put')).length).toBeGreaterThanOrEqual(2);
    expect((await readdir(join(dir, 'meta'))).filter((name) => name.includes('quarantined'))).toHaveLength(2);
  });

  test.each([
    ['a stream that does not say who it is', undefined, 'has to be start'],
    ['a sidecar of another name', { sidecar: 'kubelet', controller: 'kube' }, 'unknown sidecar'],
    ['a key of another controller', { sidecar: 'engine', controller: 'device' }, 'is not reported here'],
  ])('ends %s with what is wrong', async (_what, start, message) => {
    await startEdge();
    const call = client(ReportServiceClient).report();
    const ended = new Promise<string>((resolve) => call.on('error', (error) => resolve(error.message)));
    if (start) call.write({ item: { $case: 'start', value: start } });
    call.write({ item: putItem(STATUS, '1') });
    expect(await ended).toContain(message);
  });

  test('a second edgecore on the folder is refused', async () => {
    await startEdge();
    const first = edge;
    await expect(startEdge()).rejects.toThrow(`is held by process ${process.pid}`);
    edge = first;
  });
});
