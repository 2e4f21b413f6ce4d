// The twins of a node in memory, and the one place where they change. No clock, disk or socket: a step returns what is to be written and, once
// that is on disk, what is to be said.
// Invariants: steps take effect in the order they are made; a refused request changes nothing; what a step returns describes the twins right
// after it, whatever follows.
import type { Device, DeviceModel } from '@skerry/common/kube/device-types';
import type { DeviceId, ExchangeRequest, ExchangeResponse, TwinUpdate } from '@skerry/gen/skerry/edge/v1/twin';
import type { Change } from '../store/durable-store.js';
import { decideDesired } from './desired.js';
import { changedMessage, deltaMessage, documentMessage, removedSummary, summaryMessage } from './messages.js';
import { fromRecords, headRecord, propertyRecords, removalRecords } from './records.js';
import { decideState } from './state.js';
import { bytesOf, type DeviceHead, type DeviceTwin, deviceId, LIMITS, type PropertyChange } from './types.js';
import { decideUpdate, type Refusal } from './update.js';

export type Result = NonNullable<ExchangeResponse['result']>;

/** Something to say to every bridge. */
export interface Notice {
  readonly device: DeviceId | undefined;
  readonly result: Result;
}

export interface Step {
  /** To be on disk before anything else of this step happens. */
  readonly writes: readonly Change[];
  readonly notices: readonly Notice[];
  /** Devices whose status in the cloud is to be renewed, or taken away when they are gone. */
  readonly reports: readonly string[];
  /** What of a Device cannot be obeyed. */
  readonly faults: readonly string[];
}

export interface AnsweredStep extends Step {
  readonly result: Result;
}

export interface TwinCore {
  /** A client's request. */
  answer(request: ExchangeRequest, nowMs: number): AnsweredStep;
  /** The cloud's Device, with its model as far as there is one. */
  apply(device: Device, model: DeviceModel | undefined, nowMs: number): Step;
  remove(id: string): Step;
  /** Deltas of all devices: what a client that was away has to know. */
  deltas(): readonly Notice[];
  /** Replaces everything by what is on disk; returns the keys of records that mean nothing. */
  reset(entries: ReadonlyMap<string, string>): readonly string[];
  twins(): ReadonlyMap<string, DeviceTwin>;
}

const NOTHING: Step = { writes: [], notices: [], reports: [], faults: [] };

export function createTwinCore(): TwinCore {
  let twins = new Map<string, DeviceTwin>();

  function answer(request: ExchangeRequest, nowMs: number): AnsweredStep {
    const body = request.request;
    if (body?.$case === 'membershipGet') {
      return {
        ...NOTHING,
        result: { $case: 'membership', value: { devices: [...twins.values()].map(summaryMessage) } },
      };
    }
    const { namespace = '', name = '' } = request.device ?? {};
    const id = deviceId(namespace, name);
    const twin = twins.get(id);
    if (!twin)
      return refuse({ kind: 'refused', code: 404, reason: `device "${id.slice(0, 320)}" is not known on this node` });
    switch (body?.$case) {
      case 'twinGet':
        return { ...NOTHING, result: { $case: 'twinDocument', value: documentMessage(twin) } };
      case 'twinUpdate':
        return update(id, twin, body.value, nowMs);
      case 'stateUpdate':
        return setState(id, twin, body.value.state, nowMs);
      case undefined:
        return refuse({ kind: 'refused', code: 400, reason: 'the request is empty' });
    }
  }

  function update(id: string, twin: DeviceTwin, { twins: patches }: TwinUpdate, nowMs: number): AnsweredStep {
    const decision = decideUpdate(twin, new Map(Object.entries(patches)), nowMs);
    if (decision.kind === 'refused') return refuse(decision);
    const all = [...decision.forgotten, ...decision.changes];
    applyChanges(twin, all);
    return {
      ...NOTHING,
      writes: propertyRecords(id, all),
      reports: decision.changes.some(({ last, next }) => last?.declared || next?.declared) ? [id] : [],
      result: { $case: 'twinChanged', value: changedMessage(twin, decision.changes) },
    };
  }

  function setState(id: string, twin: DeviceTwin, state: string, nowMs: number): AnsweredStep {
    const decision = decideState(twin.head, state, nowMs);
    if (decision.kind === 'refused') return refuse(decision);
    twin.head = decision.head;
    const { name, lastOnlineTime } = decision.head;
    return {
      ...NOTHING,
      writes: [headRecord(decision.head)],
      reports: [id],
      result: { $case: 'stateChanged', value: { name, state, lastOnlineTime } },
    };
  }

  function apply(device: Device, model: DeviceModel | undefined, nowMs: number): Step {
    const id = deviceId(device.metadata?.namespace ?? '', device.metadata?.name ?? '');
    const known = twins.get(id);
    if (!known && twins.size >= LIMITS.devices) {
      return { ...NOTHING, faults: [`at most ${LIMITS.devices} devices on a node: this one is left out`] };
    }
    const { head, changes, faults } = decideDesired(known, device, model, nowMs);
    const moved = !known || !sameHead(known.head, head);
    if (!moved && changes.length === 0) return { ...NOTHING, faults };
    const twin: DeviceTwin = known ?? { head, properties: new Map(), valueBytes: 0 };
    twin.head = head;
    twins.set(id, twin);
    applyChanges(twin, changes);
    const delta = changes.length > 0 ? deltaNotice(twin) : [];
    return {
      writes: [...(moved ? [headRecord(head)] : []), ...propertyRecords(id, changes)],
      notices: known ? delta : [membershipNotice({ added: [summaryMessage(twin)], removed: [] }), ...delta],
      reports: [id],
      faults,
    };
  }

  function remove(id: string): Step {
    const twin = twins.get(id);
    if (!twin) return NOTHING;
    twins.delete(id);
    return {
      ...NOTHING,
      writes: removalRecords(id, twin),
      notices: [membershipNotice({ added: [], removed: [removedSummary(twin.head)] })],
      reports: [id],
    };
  }

  function reset(entries: ReadonlyMap<string, string>): readonly string[] {
    const restored = fromRecords(entries);
    twins = restored.twins;
    return restored.ignored;
  }

  const deltas = (): readonly Notice[] => [...twins.values()].flatMap(deltaNotice);

  return { answer, apply, remove, deltas, reset, twins: () => twins };
}

function refuse({ code, reason }: Refusal): AnsweredStep {
  return { ...NOTHING, result: { $case: 'error', value: { code, reason } } };
}

function applyChanges(twin: DeviceTwin, changes: readonly PropertyChange[]): void {
  for (const { name, last, next } of changes) {
    twin.valueBytes += bytesOf(next) - bytesOf(last);
    if (next) twin.properties.set(name, next);
    else twin.properties.delete(name);
  }
}

function deltaNotice(twin: DeviceTwin): Notice[] {
  const delta = deltaMessage(twin);
  const { namespace, name } = twin.head;
  return delta ? [{ device: { namespace, name }, result: { $case: 'twinDelta', value: delta } }] : [];
}

function membershipNotice(value: Extract<Result, { $case: 'membershipChanged' }>['value']): Notice {
  return { device: undefined, result: { $case: 'membershipChanged', value } };
}

function sameHead(a: DeviceHead, b: DeviceHead): boolean {
  return a.uid === b.uid && a.generation === b.generation && a.description === b.description;
}
