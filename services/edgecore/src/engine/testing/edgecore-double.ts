// Stands in for edgecore in tests: serves desired state, takes reports and events, over a real unix socket.
import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import type { Clock } from '@skerry/common/clock';
import { createGrpcServer, type GrpcServer } from '@skerry/common/grpc/server';
import { configMapKey, podKey } from '@skerry/common/keys';
import { nullLogger } from '@skerry/common/logger';
import {
  type Entry,
  type MetaServiceServer,
  MetaServiceService,
  type ReportRequest,
  type ReportResponse,
  type ReportServiceServer,
  ReportServiceService,
  type WatchRequest,
  type WatchResponse,
} from '@skerry/gen/skerry/edge/v1/edge';
import type { Pod, PodStatus } from '../pod/types.js';

export interface ReportedStatus {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly status: PodStatus;
  readonly stopped?: boolean;
  readonly durable: boolean;
}

export interface ReportedEvent {
  readonly reason: string;
  readonly type: string;
  readonly message: string;
  readonly count: number;
  readonly involvedObject: { readonly uid: string };
}

export class EdgecoreDouble {
  readonly entries = new Map<string, Entry>();
  readonly statuses = new Map<string, ReportedStatus>();
  readonly events: ReportedEvent[] = [];
  readonly alive: { ok: boolean; reason: string }[] = [];
  completes = 0;
  synced = true;
  private version = 0;
  private readonly watchers = new Set<ServerWritableStream<WatchRequest, WatchResponse>>();
  private readonly server: GrpcServer;

  constructor(path: string, clock: Clock) {
    this.server = createGrpcServer({
      name: 'edgecore-double',
      services: [
        { definition: MetaServiceService, implementation: this.meta() },
        { definition: ReportServiceService, implementation: this.reports() },
      ],
      listen: { kind: 'unix', path },
      clock,
      logger: nullLogger(),
    });
  }

  start(): Promise<void> {
    return this.server.start();
  }

  stop(): Promise<void> {
    for (const watcher of this.watchers) watcher.end();
    return this.server.stop(AbortSignal.timeout(2_000));
  }

  putPod(pod: Pod, references: readonly string[] = []): void {
    const { namespace, name, uid } = pod.metadata;
    this.put(podKey(namespace, name, uid), { apiVersion: 'v1', kind: 'Pod', ...pod }, references);
  }

  deletePod({ metadata }: Pod): void {
    this.delete(podKey(metadata.namespace, metadata.name, metadata.uid));
  }

  putConfigMap(name: string, data: Record<string, string>): void {
    this.put(configMapKey('default', name), { metadata: { name, namespace: 'default', uid: `cm-${name}` }, data });
  }

  put(key: string, value: unknown, references: readonly string[] = []): void {
    const payload = Buffer.from(JSON.stringify(value));
    this.store({ key, version: this.nextVersion(), payload, absent: false, references: [...references] });
  }

  putAbsent(key: string): void {
    this.store({ key, version: 'absent', payload: Buffer.alloc(0), absent: true, references: [] });
  }

  delete(key: string): void {
    this.entries.delete(key);
    this.broadcast({ event: { $case: 'deleted', value: { key } } });
  }

  setSynced(synced: boolean): void {
    this.synced = synced;
    this.broadcast({ event: { $case: 'listed', value: { synced } } });
  }

  status(uid: string): ReportedStatus | undefined {
    return [...this.statuses.values()].find(({ metadata }) => metadata.uid === uid);
  }

  reasons(uid: string): string[] {
    return this.events.filter(({ involvedObject }) => involvedObject.uid === uid).map(({ reason }) => reason);
  }

  private nextVersion(): string {
    this.version += 1;
    return `1//${this.version}`;
  }

  private store(entry: Entry): void {
    this.entries.set(entry.key, entry);
    this.broadcast({ event: { $case: 'put', value: entry } });
  }

  private broadcast(message: WatchResponse): void {
    for (const watcher of this.watchers) watcher.write(message);
  }

  private meta(): MetaServiceServer {
    return {
      watch: (call) => {
        for (const value of this.entries.values()) call.write({ event: { $case: 'put', value } });
        call.write({ event: { $case: 'listed', value: { synced: this.synced } } });
        this.watchers.add(call);
        call.on('close', () => this.watchers.delete(call));
        call.on('cancelled', () => {
          this.watchers.delete(call);
          call.end();
        });
      },
    };
  }

  private reports(): ReportServiceServer {
    return {
      report: (call) => {
        call.on('data', (request: ReportRequest) => this.take(request, call));
        call.on('end', () => call.end());
        call.on('error', () => call.end());
      },
      appendLog: (call, done) => {
        for (const payload of call.request.payloads) this.events.push(JSON.parse(payload.toString('utf8')));
        done(null, { n: BigInt(this.events.length) });
      },
    };
  }

  private take({ item }: ReportRequest, call: ServerDuplexStream<ReportRequest, ReportResponse>): void {
    if (item?.$case === 'put' || item?.$case === 'putDurable') {
      const { key, version, payload } = item.value;
      const durable = item.$case === 'putDurable';
      this.statuses.set(key, { ...JSON.parse(payload.toString('utf8')), durable });
      if (durable) call.write({ event: { $case: 'stored', value: { key, version } } });
    } else if (item?.$case === 'deleted') this.statuses.delete(item.value.key);
    else if (item?.$case === 'complete') this.completes += 1;
    else if (item?.$case === 'alive') this.alive.push(item.value);
  }
}
