// An edge reduced to its link: enrolled and connected like a real one, with its state in Maps that a test reads and writes.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { systemClock } from '@skerry/common/clock';
import { unary } from '@skerry/common/grpc/client';
import { anonymousCredentials, clientCredentials, HUB_ROLE } from '@skerry/common/grpc/tls';
import { kindOf } from '@skerry/common/keys';
import { dialChannel } from '@skerry/common/link/channel';
import { linkChannelOptions } from '@skerry/common/link/grpc-options';
import { createLaneSession } from '@skerry/common/link/lane-session';
import { controllerOf } from '@skerry/common/link/lanes';
import type {
  Channel,
  Entry,
  LaneSession,
  LogItem,
  LogSource,
  Settlement,
  StateSink,
  StateSource,
} from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { enrolProofInput, signProof } from '@skerry/common/pki/proof';
import { contentHash } from '@skerry/common/version';
import { EdgeLinkServiceClient, type EnrollResponse, EnrolmentServiceClient } from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, Done_Outcome, Lane } from '@skerry/gen/skerry/link/v1/link';

const clock = systemClock();
const logger = nullLogger();
const APPLIED: Settlement = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };
type Kind = 'kube' | 'device';

export interface EdgeOptions {
  readonly hub: string;
  readonly node: string;
  /** sk1.<hash>.<id>.<secret> */
  readonly token: string;
  readonly caCertPem: string;
}

export interface Edge {
  readonly node: string;
  /** Desired state as it came down, by key. */
  readonly down: ReadonlyMap<string, Entry>;
  /** Keys in the order in which they were deleted. */
  readonly deleted: readonly string[];
  /** The payload of a key that came down, parsed. */
  object(key: string): Record<string, unknown> | undefined;
  /** Reports a value; `devicestatus` goes to devicecontroller, all else to edgecontroller. */
  report(key: string, value: unknown): void;
  withdraw(key: string): void;
  /** The last answer to a report. */
  settlement(key: string): Settlement | undefined;
  /** Appends to the stream "kube-events". */
  event(entry: unknown): void;
  eventsDone(): number;
  /** How often each controller said that the set is complete. */
  synced(kind: Kind): number;
  attached(kind: Kind): boolean;
  /** The shard epoch that the controller of this kind serves under; 0 before there was one. */
  epoch(kind: Kind): bigint;
  close(): void;
}

export async function connectEdge(options: EdgeOptions): Promise<Edge> {
  const { hub, node, caCertPem } = options;
  const { key, certificate } = await enrol(options);
  const tls = { cert: Buffer.from(certificate), key: Buffer.from(key), ca: Buffer.from(caCertPem) };
  const client = new EdgeLinkServiceClient(hub, clientCredentials(tls), { ...linkChannelOptions(), ...HUB_ROLE });
  const value = {
    node,
    bootId: randomUUID(),
    generation: BigInt(Date.now()),
    softwareVersion: 'test',
    storeEpoch: 'e1',
  };
  const channel = await dialChannel({
    connect: () => client.connect(),
    hello: { role: { $case: 'edge', value } },
    clock,
    logger,
  });
  return serve(node, channel, () => client.close());
}

async function enrol({ hub, node, token, caCertPem }: EdgeOptions): Promise<{ key: string; certificate: string }> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const [, , id, secret] = token.split('.');
  const bearer = `${id}.${secret}`;
  const request = {
    token: bearer,
    node,
    publicKey: der,
    proof: signProof(enrolProofInput(node, bearer, der), privateKey),
  };
  const client = new EnrolmentServiceClient(hub, anonymousCredentials(Buffer.from(caCertPem)), HUB_ROLE);
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await unary<EnrollResponse>((done) => client.enroll(request, done));
        return {
          key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
          certificate: answer.certificateChain,
        };
      } catch (error) {
        // The controller may still be on its way to the hub.
        if (attempt === 100) throw error;
        await clock.sleep(50);
      }
    }
  } finally {
    client.close();
  }
}

function serve(node: string, channel: Channel, closeClient: () => void): Edge {
  const down = new Map<string, Entry>();
  const deleted: string[] = [];
  const up: Record<Kind, Map<string, Entry>> = { kube: new Map(), device: new Map() };
  const settled = new Map<string, Settlement>();
  const synced: Record<Kind, number> = { kube: 0, device: 0 };
  const events = eventSource();
  const sessions: Record<Kind, LaneSession> = {
    kube: session(Controller.CONTROLLER_KUBE, 'kube', ['pod', 'configmap', 'secret'], [events.source]),
    device: session(Controller.CONTROLLER_DEVICE, 'device', ['device', 'devicemodel'], []),
  };
  const attached = new Set<Kind>();
  const epochs: Record<Kind, bigint> = { kube: 0n, device: 0n };

  function session(controller: Controller, kind: Kind, kinds: string[], logSources: LogSource[]): LaneSession {
    return createLaneSession({
      role: 'edge',
      controller,
      node: '',
      source: sourceOf(kind),
      sink: sinkOf(kind, kinds),
      logSources,
      logSink: undefined,
      onCall: undefined,
      clock,
      logger,
    });
  }

  function sourceOf(kind: Kind): StateSource {
    return {
      versions: () => [...up[kind]].map(([key, { version }]) => [key, version] as const),
      read: (key) => up[kind].get(key),
      complete: () => true,
      confirmAbsent: async (key) => !up[kind].has(key),
      settled: (key, _version, settlement) => void settled.set(key, settlement),
      epoch: () => 0n,
    };
  }

  function sinkOf(kind: Kind, kinds: readonly string[]): StateSink {
    return {
      versions: () =>
        [...down].flatMap(([key, { version }]) => (kinds.includes(kindOf(key)) ? [[key, version] as const] : [])),
      put: async (key, entry) => {
        down.set(key, entry);
        return APPLIED;
      },
      delete: async (key) => {
        if (down.delete(key)) deleted.push(key);
        return APPLIED;
      },
      synced: async () => {
        synced[kind] += 1;
      },
      unsynced: () => false,
    };
  }

  const kindOfController = (controller: Controller | undefined): Kind =>
    controller === Controller.CONTROLLER_DEVICE ? 'device' : 'kube';

  channel.onEnvelope((envelope) => {
    const { lane, body } = envelope;
    if (lane !== Lane.LANE_CONTROL) return sessions[kindOfController(controllerOf(lane))].receive(envelope);
    if (body.$case === 'attached') {
      const kind = kindOfController(body.value.controller);
      attached.add(kind);
      epochs[kind] = body.value.shardEpoch;
      sessions[kind].attach(channel, { shardEpoch: body.value.shardEpoch });
    } else if (body.$case === 'detached') {
      attached.delete(kindOfController(body.value.controller));
      sessions[kindOfController(body.value.controller)].detach('detached');
    }
  });
  const heartbeat = setInterval(
    () => channel.send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'heartbeat', value: { uptimeMs: 1n } } }),
    2_000,
  );
  channel.onEnd(() => clearInterval(heartbeat));
  channel.start();

  const kindOfReport = (key: string): Kind => (kindOf(key) === 'devicestatus' ? 'device' : 'kube');
  return {
    node,
    down,
    deleted,
    object: (key) => {
      const entry = down.get(key);
      return entry && !entry.absent ? JSON.parse(Buffer.from(entry.payload).toString('utf8')) : undefined;
    },
    report(key, value) {
      const payload = Buffer.from(JSON.stringify(value));
      up[kindOfReport(key)].set(key, { version: contentHash(value), payload, absent: false, references: [] });
      settled.delete(key);
      sessions[kindOfReport(key)].dirty(key);
    },
    withdraw(key) {
      up[kindOfReport(key)].delete(key);
      sessions[kindOfReport(key)].dirty(key);
    },
    settlement: (key) => settled.get(key),
    event(entry) {
      events.append(entry);
      sessions.kube.logGrew('kube-events');
    },
    eventsDone: events.done,
    synced: (kind) => synced[kind],
    attached: (kind) => attached.has(kind),
    epoch: (kind) => epochs[kind],
    close() {
      clearInterval(heartbeat);
      sessions.kube.close();
      sessions.device.close();
      channel.close({});
      closeClient();
    },
  };
}

function eventSource(): { source: LogSource; append(entry: unknown): void; done(): number } {
  const items: LogItem[] = [];
  let cursor = 0n;
  return {
    append: (entry) =>
      void items.push({ n: BigInt(items.length + 1), payload: Buffer.from(JSON.stringify(entry)), gapFrom: 0n }),
    done: () => Number(cursor),
    source: {
      stream: 'kube-events',
      epoch: 'e1',
      read: async (after) => items.filter(({ n }) => n > after),
      doneThrough: (n) => {
        cursor = n;
      },
      cursor: () => cursor,
    },
  };
}
