// A small cloud without sockets: edges, controllers and a hub between them that relays as cloudhub does, on wires that a test controls.
// What would be on disk or in the Kubernetes API survives crashes here; everything else is lost with its process.
import {
  Controller,
  Done_Outcome,
  EdgeHello,
  type Frame,
  Goodbye_Reason,
  Hello,
  Lane,
  Welcome,
} from '@skerry/gen/skerry/link/v1/link';
import { nullLogger } from '../../logger.js';
import { type FakeClock, fakeClock } from '../../testing/fake-clock.js';
import { createLaneSession } from '../lane-session.js';
import { createRelayGuard, type RelayGuard } from '../relay-guard.js';
import { STALE_EPOCH } from '../state-sender.js';
import { createStreamChannel } from '../stream-channel.js';
import type { Channel, Entry, Envelope, LaneSession, LogItem, Settlement } from '../types.js';
import { createWire, type Wire } from './wire.js';

export type Say = (line: string) => void;

/** The Kubernetes API: what users want and what was reported. */
export interface Api {
  /** Node -> key -> version. */
  readonly desired: Map<string, Map<string, string>>;
  readonly statuses: Map<string, string>;
  /** Node -> log entries in the order in which they first took effect. */
  readonly effects: Map<string, bigint[]>;
  /** Controllers reach it. */
  reachable: boolean;
}

/** What a node keeps on disk, and what runs on it. */
export interface Disk {
  readonly store: Map<string, string>;
  readonly statuses: Map<string, string>;
  readonly log: bigint[];
  cursor: bigint;
  highestEpoch: bigint;
  unsynced: boolean;
}

export interface EdgeEnd {
  readonly node: string;
  readonly disk: Disk;
  session: LaneSession;
  wire: Wire | undefined;
  /** Puts are not applied until this is false. */
  stuck: boolean;
  release: (() => void)[];
}

export interface ControllerEnd {
  readonly name: string;
  readonly epoch: bigint;
  /** What its informers know; undefined until they have synced. */
  cache: Map<string, Map<string, string>>;
  complete: boolean;
  sessions: Map<string, LaneSession>;
  known: Map<string, string>;
  lastLog: Map<string, bigint>;
  wire: Wire | undefined;
  channel: Channel | undefined;
}

export interface World {
  readonly clock: FakeClock;
  readonly api: Api;
  readonly edges: Map<string, EdgeEnd>;
  readonly controllers: Map<string, ControllerEnd>;
  readonly faults: string[];
  /** Keys that were deleted: they never come back, since keys hold UIDs. */
  readonly gone: Set<string>;
  addEdge(node: string): EdgeEnd;
  addController(name: string, epoch: bigint): ControllerEnd;
  connectEdge(node: string): void;
  connectController(name: string): void;
  crashEdge(node: string): void;
  crashController(name: string): void;
  /** Its informers are synced: the cache is the API's content. */
  sync(name: string): void;
  desire(node: string, key: string, version: string | undefined): void;
  report(node: string, key: string, version: string): void;
  log(node: string): void;
  wires(): Wire[];
  /** Delivers everything, lets promises settle, until nothing moves. */
  run(): Promise<void>;
  close(): void;
}

const APPLIED: Settlement = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };
export const BAD_VERSION = 'bad';
const STREAM = 'kube-events';

export function createWorld(say: Say = () => {}): World {
  const clock = fakeClock();
  const logger = nullLogger();
  const api: Api = { desired: new Map(), statuses: new Map(), effects: new Map(), reachable: true };
  const edges = new Map<string, EdgeEnd>();
  const controllers = new Map<string, ControllerEnd>();
  const faults: string[] = [];
  const gone = new Set<string>();
  const hub = createHub((fault) => faults.push(fault));
  const random = (): number => 0.5;

  const wanted = (node: string): Map<string, string> => getOrMake(api.desired, node, () => new Map<string, string>());
  const entry = (version: string): Entry => ({
    version,
    payload: new TextEncoder().encode(version),
    absent: false,
    references: [],
  });

  function addEdge(node: string): EdgeEnd {
    const disk: Disk = {
      store: new Map(),
      statuses: new Map(),
      log: [],
      cursor: 0n,
      highestEpoch: 0n,
      unsynced: true,
    };
    const edge: EdgeEnd = {
      node,
      disk,
      session: edgeSession(node, disk, () => edge),
      wire: undefined,
      stuck: false,
      release: [],
    };
    edges.set(node, edge);
    wanted(node);
    return edge;
  }

  function edgeSession(node: string, disk: Disk, self: () => EdgeEnd): LaneSession {
    const applying = new Set<string>();
    /** One boot of edgecore: what an older one had in memory is lost. */
    const alive = (): boolean => self().session === session;
    const applied = async (change: () => void, key: string, epoch: bigint, version: string): Promise<Settlement> => {
      if (applying.has(key)) faults.push(`${node} was given ${key} twice at once`);
      applying.add(key);
      if (self().stuck) await new Promise<void>((resolve) => self().release.push(resolve));
      else await Promise.resolve();
      applying.delete(key);
      if (!alive()) return new Promise(() => {});
      if (epoch < disk.highestEpoch)
        return {
          outcome: Done_Outcome.OUTCOME_REJECTED,
          code: STALE_EPOCH,
          reason: `epoch ${disk.highestEpoch} was seen`,
        };
      disk.highestEpoch = epoch;
      if (version === BAD_VERSION)
        return { outcome: Done_Outcome.OUTCOME_REJECTED, code: 'Invalid', reason: 'this node cannot run it' };
      change();
      say(`${node} stores ${key} ${version}`);
      return APPLIED;
    };
    const session: LaneSession = createLaneSession({
      role: 'edge',
      controller: Controller.CONTROLLER_KUBE,
      node: '',
      source: {
        versions: () => disk.statuses,
        read: (key) => {
          const version = disk.statuses.get(key);
          return version === undefined ? undefined : entry(version);
        },
        complete: () => true,
        confirmAbsent: async (key) => !disk.statuses.has(key),
        settled: (key, version, { outcome, code }) =>
          say(`${node} learns ${key} ${version} ${outcomeName(outcome)} ${code}`.trimEnd()),
        epoch: () => 0n,
      },
      sink: {
        versions: () => disk.store,
        put: (key, { version }, epoch) => applied(() => disk.store.set(key, version), key, epoch, version),
        delete: (key, _version, epoch) =>
          applied(
            () => {
              if (wanted(node).has(key)) faults.push(`${node} deleted ${key}, which is wanted`);
              disk.store.delete(key);
            },
            key,
            epoch,
            'deleted',
          ),
        synced: async (epoch) => {
          if (epoch < disk.highestEpoch) return;
          disk.unsynced = false;
          say(`${node} is synced`);
        },
        unsynced: () => disk.unsynced,
      },
      logSources: [
        {
          stream: STREAM,
          epoch: 'e1',
          read: async (after) =>
            disk.log
              .filter((n) => n > after)
              .slice(0, 3)
              .map(logItem),
          doneThrough: (n) => {
            disk.cursor = n;
          },
          cursor: () => disk.cursor,
        },
      ],
      logSink: undefined,
      onCall: undefined,
      clock,
      logger,
      random,
      onProtocolError: (message) => faults.push(`${node} sees a protocol error: ${message}`),
    });
    return session;
  }

  function addController(name: string, epoch: bigint): ControllerEnd {
    const controller: ControllerEnd = {
      name,
      epoch,
      cache: new Map(),
      complete: false,
      sessions: new Map(),
      known: new Map(),
      lastLog: new Map(),
      wire: undefined,
      channel: undefined,
    };
    controllers.set(name, controller);
    return controller;
  }

  function controllerSession(controller: ControllerEnd, node: string): LaneSession {
    const cache = (): Map<string, string> => controller.cache.get(node) ?? new Map<string, string>();
    const { known, lastLog } = controller;
    const alive = (): boolean => controller.known === known;
    const reach = (): void => {
      if (!api.reachable) throw new Error('the API is away');
    };
    return createLaneSession({
      role: 'controller',
      controller: Controller.CONTROLLER_KUBE,
      node,
      source: {
        versions: () => cache(),
        read: async (key) => {
          const version = cache().get(key);
          return version === undefined ? undefined : entry(version);
        },
        complete: () => controller.complete,
        confirmAbsent: async (key) => {
          reach();
          const absent = !wanted(node).has(key);
          say(`${controller.name} confirms that ${key} is ${absent ? 'gone' : 'there'}`);
          return absent;
        },
        settled: (key, version, { outcome, code }) =>
          say(`${controller.name} learns ${key} ${version} ${outcomeName(outcome)} ${code}`.trimEnd()),
        epoch: () => controller.epoch,
      },
      sink: {
        versions: () => [...known].filter(([key]) => key.includes(`/${node}/`)),
        put: async (key, { version }) => {
          reach();
          if (!alive()) return new Promise(() => {});
          api.statuses.set(key, version);
          known.set(key, version);
          say(`${controller.name} writes ${key} ${version}`);
          return APPLIED;
        },
        delete: async (key) => {
          known.delete(key);
          return APPLIED;
        },
        synced: async () => {},
        unsynced: () => false,
      },
      logSources: [],
      logSink: {
        last: () => lastLog.get(node) ?? 0n,
        append: async (_stream, _epoch, items) => {
          reach();
          const effects = getOrMake(api.effects, node, () => []);
          for (const { n } of items) {
            // The API knows an event by its name: a second one of the same number has no effect.
            if (!effects.includes(n)) effects.push(n);
            say(`${controller.name} records event ${n} of ${node}`);
          }
          lastLog.set(node, items.at(-1)?.n ?? 0n);
        },
      },
      onCall: undefined,
      clock,
      logger,
      random,
      onProtocolError: (message) => faults.push(`${controller.name} sees a protocol error of ${node}: ${message}`),
    });
  }

  function connectEdge(node: string): void {
    const edge = edges.get(node);
    if (!edge) throw new Error(`no edge ${node}`);
    edge.wire?.cut();
    const wire = createWire((to, frame) => trace(to === 0 ? node : 'hub', frame));
    edge.wire = wire;
    const { session } = edge;
    const hello = Hello.fromPartial({ role: { $case: 'edge', value: { node } } });
    const channel = openEnd(wire, 0, hello);
    channel.onEnvelope((envelope) => {
      const { body } = envelope;
      if (body.$case === 'attached') session.attach(channel, { shardEpoch: body.value.shardEpoch });
      else if (body.$case === 'detached') session.detach('the controller is away');
      else session.receive(envelope);
    });
    channel.onEnd(() => session.detach('the connection ended'));
    channel.start();
    hub.edgeCame(node, openEnd(wire, 1, hello));
  }

  function connectController(name: string): void {
    const controller = controllers.get(name);
    if (!controller) throw new Error(`no controller ${name}`);
    controller.wire?.cut();
    const wire = createWire((to, frame) => trace(to === 0 ? name : 'hub', frame));
    controller.wire = wire;
    const hello = Hello.fromPartial({ role: { $case: 'controller', value: { kind: Controller.CONTROLLER_KUBE } } });
    const channel = openEnd(wire, 0, hello);
    const sessions = getSessions(controller);
    channel.onEnvelope((envelope) => {
      const { body, node } = envelope;
      const session = getOrMake(sessions, node, () => controllerSession(controller, node));
      if (body.$case === 'attached') session.attach(channel, { shardEpoch: controller.epoch });
      else if (body.$case === 'detached') session.detach('the edge is away');
      else session.receive(envelope);
    });
    channel.onEnd(() => {
      for (const session of sessions.values()) session.detach('the connection ended');
    });
    channel.start();
    controller.channel = channel;
    hub.controllerCame(controller, openEnd(wire, 1, hello));
  }

  function openEnd(wire: Wire, end: 0 | 1, hello: Hello): Channel {
    const welcome = Welcome.fromPartial({ heartbeatIntervalMs: 10_000_000 });
    const stream = wire.ends[end];
    return createStreamChannel({
      stream,
      hello,
      welcome,
      automaticHeartbeat: false,
      maxQueuedBytes: 8 * 1024 * 1024,
      clock,
      logger,
    });
  }

  /** One line for each frame that says something of state, logs or sessions. */
  function trace(to: string, { node, body }: Frame): void {
    if (!body || body.$case === 'credit' || to === 'hub') return;
    say(`  ${to} <- ${node === '' ? '' : `[${node}] `}${describe(body)}`);
  }

  function crashEdge(node: string): void {
    const edge = edges.get(node);
    if (!edge) return;
    edge.wire?.cut();
    edge.session.close();
    edge.release = [];
    edge.session = edgeSession(node, edge.disk, () => edge);
  }

  function crashController(name: string): void {
    const controller = controllers.get(name);
    if (!controller) return;
    controller.wire?.cut();
    for (const session of controller.sessions.values()) session.close();
    controller.sessions = new Map();
    controller.cache = new Map();
    controller.complete = false;
    controller.known = new Map();
    controller.lastLog = new Map();
  }

  function sync(name: string): void {
    const controller = controllers.get(name);
    if (!controller) return;
    controller.cache = new Map([...api.desired].map(([node, keys]) => [node, new Map(keys)]));
    controller.complete = true;
    for (const session of controller.sessions.values()) session.compare();
  }

  function desire(node: string, key: string, version: string | undefined): void {
    if (version === undefined) wanted(node).delete(key);
    else wanted(node).set(key, version);
    for (const controller of controllers.values()) {
      const cache = getOrMake(controller.cache, node, () => new Map<string, string>());
      if (version === undefined) cache.delete(key);
      else cache.set(key, version);
      controller.sessions.get(node)?.dirty(key);
    }
  }

  function report(node: string, key: string, version: string): void {
    const edge = edges.get(node);
    edge?.disk.statuses.set(key, version);
    edge?.session.dirty(key);
  }

  function log(node: string): void {
    const edge = edges.get(node);
    edge?.disk.log.push(BigInt(edge.disk.log.length + 1));
    edge?.session.logGrew(STREAM);
  }

  const wires = (): Wire[] =>
    [...edges.values(), ...controllers.values()].flatMap(({ wire }) => (wire?.open() ? [wire] : []));

  async function run(): Promise<void> {
    let restful = 0;
    for (let rounds = 0; rounds < 500; rounds++) {
      let moved = false;
      for (const wire of [...edges.values(), ...controllers.values()].flatMap((end) => end.wire ?? [])) {
        for (const to of [0, 1] as const) while (wire.deliver(to)) moved = true;
      }
      await clock.advance(5);
      restful = moved ? 0 : restful + 1;
      if (restful === 2) return;
    }
    throw new Error('the world does not come to rest');
  }

  function close(): void {
    for (const { wire, session } of edges.values()) {
      wire?.cut();
      session.close();
    }
    for (const { wire, sessions } of controllers.values()) {
      wire?.cut();
      for (const session of sessions.values()) session.close();
    }
  }

  return {
    clock,
    api,
    edges,
    controllers,
    faults,
    gone,
    addEdge,
    addController,
    connectEdge,
    connectController,
    crashEdge,
    crashController,
    sync,
    desire,
    report,
    log,
    wires,
    run,
    close,
  };
}

const getSessions = (controller: ControllerEnd): Map<string, LaneSession> => controller.sessions;
const logItem = (n: bigint): LogItem => ({ n, payload: new TextEncoder().encode(`event ${n}`), gapFrom: 0n });

/** The hub: one controller owns all nodes, the newest to come. Frames are passed on unread, under a guard. */
function createHub(onFault: (fault: string) => void): {
  edgeCame(node: string, channel: Channel): void;
  controllerCame(controller: ControllerEnd, channel: Channel): void;
} {
  const edges = new Map<string, { channel: Channel; guard: RelayGuard }>();
  let owner: { readonly channel: Channel; readonly epoch: bigint } | undefined;
  const lane = Lane.LANE_CONTROL;
  const controller = Controller.CONTROLLER_KUBE;

  function attach(node: string): void {
    const edge = edges.get(node);
    if (!edge || !owner) return;
    edge.guard = createRelayGuard();
    const value = { controller, shardEpoch: owner.epoch, edge: undefined };
    edge.channel.send({ lane, node: '', body: { $case: 'attached', value } });
    owner.channel.send({
      lane,
      node,
      body: { $case: 'attached', value: { ...value, edge: EdgeHello.fromPartial({ node }) } },
    });
  }

  function cutOff(node: string, message: string): void {
    onFault(`hub cuts ${node} off: ${message}`);
    edges.get(node)?.channel.close({ reason: Goodbye_Reason.REASON_PROTOCOL_ERROR, message });
  }

  function edgeCame(node: string, channel: Channel): void {
    const edge = { channel, guard: createRelayGuard() };
    edges.set(node, edge);
    channel.onEnvelope((envelope: Envelope) => {
      const problem = edge.guard.check('up', envelope);
      if (problem) cutOff(node, problem);
      else owner?.channel.send({ ...envelope, node });
    });
    channel.onEnd(() => {
      if (edges.get(node) !== edge) return;
      edges.delete(node);
      owner?.channel.send({ lane, node, body: { $case: 'detached', value: { controller } } });
    });
    channel.start();
    attach(node);
  }

  function controllerCame(end: ControllerEnd, channel: Channel): void {
    const mine = { channel, epoch: end.epoch };
    owner = mine;
    channel.onEnvelope((envelope: Envelope) => {
      const { node, body } = envelope;
      const edge = edges.get(node);
      if (!edge || owner !== mine) return;
      if (body.$case === 'delete' && !end.complete) onFault(`${node} is to delete while informers are not synced`);
      if (body.$case === 'goodbye') return cutOff(node, body.value.message);
      const problem = edge.guard.check('down', envelope);
      if (problem) onFault(`hub refuses a frame for ${node}: ${problem}`);
      else edge.channel.send({ ...envelope, node: '' });
    });
    channel.onEnd(() => {
      if (owner !== mine) return;
      owner = undefined;
      for (const { channel: edge } of edges.values())
        edge.send({ lane, node: '', body: { $case: 'detached', value: { controller } } });
    });
    channel.start();
    for (const node of edges.keys()) attach(node);
  }

  return { edgeCame, controllerCame };
}

function describe(body: NonNullable<Frame['body']>): string {
  switch (body.$case) {
    case 'put':
    case 'delete':
      return `${body.$case} ${body.value.key} ${body.value.version}`.trimEnd();
    case 'done':
      return `done ${body.value.key} ${body.value.version} ${outcomeName(body.value.outcome)} ${body.value.code}`.trimEnd();
    case 'digest':
      return `digest ${body.value.kinds.map((kind) => `${kind.kind}:${kind.count}`).join(' ')}`.trimEnd();
    case 'inventoryRequest':
      return `inventory of ${body.value.kinds.join(' ')}`;
    case 'inventory':
      return `inventory ${body.value.entries.map(({ key, version }) => `${key}=${version}`).join(' ')}`.trimEnd();
    case 'logEntries':
      return `log ${body.value.entries.map(({ n }) => n).join(' ')}`;
    case 'doneThrough':
      return `done through ${body.value.n}`;
    default:
      return body.$case;
  }
}

function outcomeName(outcome: Done_Outcome): string {
  return Done_Outcome[outcome]?.replace('OUTCOME_', '').toLowerCase() ?? String(outcome);
}

function getOrMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
