// What the hub counts, in one place. Every bound and every refusal has a counter here.
// Invariant: counters only grow; gauges (edges, controllers) are asked for, not kept.

const NAMES = [
  'edgesConnected',
  'edgesReplaced',
  'edgesRefusedStale',
  'edgesRefusedAdmission',
  'duplicateNodes',
  'controllersConnected',
  'controllersReplaced',
  'handshakesFailed',
  'callersRefused',
  'framesUp',
  'framesDown',
  'framesDropped',
  'creditsHeld',
  'creditViolations',
  'nodesShed',
  'protocolErrors',
  'heartbeats',
  'leasesRenewed',
  'leasesFailed',
  'enrolmentsRelayed',
  'enrolmentsRefused',
] as const;

export type CounterName = (typeof NAMES)[number];
export type Counters = Record<CounterName, number>;

export function createCounters(): Counters {
  return Object.fromEntries(NAMES.map((name) => [name, 0])) as Counters;
}
