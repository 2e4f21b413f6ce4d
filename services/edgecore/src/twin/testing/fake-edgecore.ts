// edgecore as the twin sees it: MetaService with what the cloud wants, ReportService that remembers what was reported.
import type { ServerDuplexStream, ServerWritableStream } from '@grpc/grpc-js';
import { systemClock } from '@skerry/common/clock';
import { createGrpcServer } from '@skerry/common/grpc/server';
import { deviceKey, deviceModelKey } from '@skerry/common/keys';
import type { Device, DeviceModel } from '@skerry/common/kube/device-types';
import { nullLogger } from '@skerry/common/logger';
import {
  MetaServiceService,
  type ReportRequest,
  type ReportResponse,
  ReportServiceService,
  type WatchRequest,
  type WatchResponse,
} from '@skerry/gen/skerry/edge/v1/edge';

export interface FakeEdgecore {
  start(): Promise<void>;
  stop(): Promise<void>;
  putDevice(device: Device): void;
  putModel(model: DeviceModel): void;
  /** The model is known not to exist. */
  absentModel(namespace: string, name: string): void;
  deleteKey(key: string): void;
  /** What a new or repaired meta store says. */
  setSynced(synced: boolean): void;
  /** Newest reported payload by key. */
  readonly reported: Map<string, unknown>;
  /** Kinds of report items in the order they came. */
  readonly items: string[];
}

type WatchStream = ServerWritableStream<WatchRequest, WatchResponse>;

export function createFakeEdgecore(socket: string): FakeEdgecore {
  const entries = new Map<string, { payload: Buffer; absent: boolean }>();
  const watchers = new Set<WatchStream>();
  const reporters = new Set<ServerDuplexStream<ReportRequest, ReportResponse>>();
  const reported = new Map<string, unknown>();
  const items: string[] = [];
  let synced = true;
  let version = 0;

  const put = (key: string, content: unknown): void => {
    entries.set(key, {
      payload: Buffer.from(content === undefined ? '' : JSON.stringify(content)),
      absent: content === undefined,
    });
    for (const stream of watchers) stream.write(putEvent(key));
  };

  function putEvent(key: string): WatchResponse {
    const entry = entries.get(key) ?? { payload: Buffer.alloc(0), absent: true };
    return { event: { $case: 'put', value: { key, version: String(++version), references: [], ...entry } } };
  }

  function watch(stream: WatchStream): void {
    watchers.add(stream);
    stream.on('cancelled', () => watchers.delete(stream));
    for (const key of entries.keys()) stream.write(putEvent(key));
    stream.write({ event: { $case: 'listed', value: { synced } } });
  }

  function report(stream: ServerDuplexStream<ReportRequest, ReportResponse>): void {
    reporters.add(stream);
    stream.on('cancelled', () => reporters.delete(stream));
    stream.on('data', ({ item }: ReportRequest) => {
      if (!item) return;
      items.push(item.$case);
      if (item.$case === 'put') reported.set(item.value.key, JSON.parse(Buffer.from(item.value.payload).toString()));
      if (item.$case === 'deleted') reported.delete(item.value.key);
    });
    stream.on('error', () => {});
    stream.on('end', () => stream.end());
  }

  const server = createGrpcServer({
    name: 'edgecore',
    services: [
      { definition: MetaServiceService, implementation: { watch } },
      { definition: ReportServiceService, implementation: { report, appendLog: () => {} } },
    ],
    listen: { kind: 'unix', path: socket },
    clock: systemClock(),
    logger: nullLogger(),
    beforeStop: async () => {
      for (const stream of [...watchers, ...reporters]) stream.end();
    },
  });

  return {
    start: () => server.start(),
    stop: () => server.stop(AbortSignal.timeout(3_000)),
    putDevice: (device) => put(deviceKey(device.metadata?.namespace ?? '', device.metadata?.name ?? ''), device),
    putModel: (model) => put(deviceModelKey(model.metadata?.namespace ?? '', model.metadata?.name ?? ''), model),
    absentModel: (namespace, name) => put(deviceModelKey(namespace, name), undefined),
    deleteKey(key) {
      entries.delete(key);
      for (const stream of watchers) stream.write({ event: { $case: 'deleted', value: { key } } });
    },
    setSynced(value) {
      synced = value;
      for (const stream of watchers) stream.write({ event: { $case: 'listed', value: { synced } } });
    },
    reported,
    items,
  };
}
