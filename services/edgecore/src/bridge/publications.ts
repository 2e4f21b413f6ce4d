// Writes the twin's answers and notices as KubeEdge's MQTT messages. Versions stay inside; timestamps are Unix milliseconds.
// Invariant: of one update the result comes first, then the document, then the delta.
import type {
  DeviceSummary,
  ExchangeResponse,
  TwinChanged,
  TwinDelta,
  TwinProperty,
  TwinTransition,
  TwinValue,
} from '@skerry/gen/skerry/edge/v1/twin';
import { type Asked, type DeviceName, deviceTopic, nodeTopic } from './topics.js';

export interface Publication {
  readonly topic: string;
  readonly payload: string;
}

/** Where an answer belongs. */
export interface Origin {
  readonly device: DeviceName;
  readonly asked: Asked | 'membership/get';
  /** The node of the request's topic, for membership. */
  readonly node: string;
}

export interface Writing {
  readonly eventId: string;
  readonly timestampMs: number;
  /** Names events of ours. */
  readonly newEventId: () => string;
}

export function answerPublications(
  origin: Origin,
  result: NonNullable<ExchangeResponse['result']>,
  writing: Writing,
): Publication[] {
  const base = { event_id: writing.eventId, timestamp: writing.timestampMs };
  const answer = (body: object): Publication => publication(answerTopic(origin), { ...base, ...body });
  switch (result.$case) {
    case 'twinChanged':
      return [
        answer({ twin: mapValues(result.value.changed, changedJson) }),
        ...afterUpdate(origin, result.value, base, writing),
      ];
    case 'twinDocument':
      return [answer({ twin: mapValues(result.value.twins, propertyJson) })];
    case 'stateChanged':
      return [answer({ device: stateJson(result.value) })];
    case 'membership':
      return [answer({ devices: result.value.devices.map(summaryJson) })];
    case 'error':
      return [answer({ code: result.value.code, reason: result.value.reason })];
    case 'twinDelta':
    case 'membershipChanged':
      return [];
  }
}

/** What the twin says unasked; `node` is this node. */
export function noticePublications(
  node: string,
  { device, result, timestampMs }: ExchangeResponse,
  newEventId: () => string,
): Publication[] {
  const base = { event_id: newEventId(), timestamp: Number(timestampMs) };
  if (result?.$case === 'twinDelta' && device) return [deltaPublication(device, result.value, base)];
  if (result?.$case !== 'membershipChanged') return [];
  const { added, removed } = result.value;
  const body = { added_devices: listOrNull(added), removed_devices: listOrNull(removed) };
  return [publication(nodeTopic(node, 'membership/updated'), { ...base, ...body })];
}

export function errorPublication(origin: Origin, code: number, reason: string, writing: Writing): Publication {
  return publication(answerTopic(origin), { event_id: writing.eventId, timestamp: writing.timestampMs, code, reason });
}

function answerTopic({ device, asked, node }: Origin): string {
  return asked === 'membership/get' ? nodeTopic(node, `${asked}/result`) : deviceTopic(device, `${asked}/result`);
}

function afterUpdate(
  { device }: Origin,
  { document, delta }: TwinChanged,
  base: object,
  writing: Writing,
): Publication[] {
  if (Object.keys(document).length === 0) return [];
  const publications = [
    publication(deviceTopic(device, 'twin/update/document'), { ...base, twin: mapValues(document, transitionJson) }),
  ];
  const deltaBase = { event_id: writing.newEventId(), timestamp: writing.timestampMs };
  if (delta) publications.push(deltaPublication(device, delta, deltaBase));
  return publications;
}

function deltaPublication(device: DeviceName, { twins, delta }: TwinDelta, base: object): Publication {
  return publication(deviceTopic(device, 'twin/update/delta'), {
    ...base,
    twin: mapValues(twins, propertyJson),
    delta,
  });
}

function publication(topic: string, body: object): Publication {
  return { topic, payload: JSON.stringify(body) };
}

/** Members that are undefined are left out by JSON. */
function propertyJson({ expected, actual, optional, type }: TwinProperty): object {
  return { expected: valueJson(expected), actual: valueJson(actual), optional, metadata: { type } };
}

function changedJson(property: TwinProperty): object | null {
  return property.removed ? null : propertyJson(property);
}

function transitionJson({ last, current }: TwinTransition): object {
  return { last: last ? propertyJson(last) : null, current: current ? propertyJson(current) : null };
}

function valueJson(value: TwinValue | undefined): object | undefined {
  return value && { value: value.value, metadata: { timestamp: Number(value.timestampMs) } };
}

function stateJson({ name, state, lastOnlineTime }: { name: string; state: string; lastOnlineTime: string }): object {
  return { name, state, ...(lastOnlineTime === '' ? {} : { lastOnlineTime }) };
}

function summaryJson({ id, description, state, lastOnlineTime }: DeviceSummary): object {
  const { namespace = '', name = '' } = id ?? {};
  return {
    id: `${namespace}/${name}`,
    name,
    ...(description === '' ? {} : { description }),
    ...(state === '' ? {} : { state }),
    ...(lastOnlineTime === '' ? {} : { last_online: lastOnlineTime }),
  };
}

function listOrNull(devices: readonly DeviceSummary[]): object[] | null {
  return devices.length === 0 ? null : devices.map(summaryJson);
}

function mapValues<T, U>(from: Readonly<Record<string, T>>, write: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(from).map(([key, value]) => [key, write(value)]));
}
