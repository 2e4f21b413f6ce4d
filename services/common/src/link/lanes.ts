// Which controller owns which lane, and what kind of traffic a lane carries. The one place that knows.
// Invariant: every lane but LANE_CONTROL belongs to exactly one controller kind, so a frame is routed by its lane alone.
import { Controller, Lane } from '@skerry/gen/skerry/link/v1/link';
import type { Body } from './types.js';

export interface ControllerLanes {
  readonly state: Lane;
  readonly log: Lane;
  readonly call: Lane;
}

const KUBE: ControllerLanes = { state: Lane.LANE_KUBE_STATE, log: Lane.LANE_KUBE_LOG, call: Lane.LANE_KUBE_CALL };
const DEVICE: ControllerLanes = {
  state: Lane.LANE_DEVICE_STATE,
  log: Lane.LANE_DEVICE_LOG,
  call: Lane.LANE_DEVICE_CALL,
};

/** The lanes of a controller kind; undefined for a kind that this version does not know. */
export function lanesOf(controller: Controller): ControllerLanes | undefined {
  if (controller === Controller.CONTROLLER_KUBE) return KUBE;
  if (controller === Controller.CONTROLLER_DEVICE) return DEVICE;
  return undefined;
}

/** The owner of a lane; undefined for LANE_CONTROL and lanes that this version does not know. */
export function controllerOf(lane: Lane): Controller | undefined {
  switch (lane) {
    case Lane.LANE_KUBE_STATE:
    case Lane.LANE_KUBE_LOG:
    case Lane.LANE_KUBE_CALL:
      return Controller.CONTROLLER_KUBE;
    case Lane.LANE_DEVICE_STATE:
    case Lane.LANE_DEVICE_LOG:
    case Lane.LANE_DEVICE_CALL:
      return Controller.CONTROLLER_DEVICE;
    default:
      return undefined;
  }
}

type Traffic = 'control' | 'any' | keyof ControllerLanes;

const TRAFFIC: Record<Body['$case'], Traffic> = {
  hello: 'control',
  welcome: 'control',
  goodbye: 'control',
  heartbeat: 'control',
  claims: 'control',
  attached: 'control',
  detached: 'control',
  credit: 'any',
  chunk: 'any',
  put: 'state',
  delete: 'state',
  done: 'state',
  digest: 'state',
  inventoryRequest: 'state',
  inventory: 'state',
  synced: 'state',
  logEntries: 'log',
  doneThrough: 'log',
  callRequest: 'call',
  callData: 'call',
  callEnd: 'call',
  callCancel: 'call',
};

/** True when the contract lets this body travel on this lane. */
export function fits(lane: Lane, body: Body): boolean {
  const traffic = TRAFFIC[body.$case];
  if (lane === Lane.LANE_CONTROL) return traffic === 'control';
  const owner = controllerOf(lane);
  const lanes = owner === undefined ? undefined : lanesOf(owner);
  if (!lanes || traffic === 'control') return false;
  return traffic === 'any' || lanes[traffic] === lane;
}
