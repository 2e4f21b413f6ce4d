// What one node reports on its Pods and itself, taken in and written to the API.
// Invariants: a node speaks of itself and of Pods bound to it only; `versions` holds what this lane session has written and nobody has
// overwritten since, so that a comparison makes the edge say everything else again.
import { sharedAbortController } from '@skerry/common/abort';
import type { Clock } from '@skerry/common/clock';
import { APPLIED, rejected, rejectionOf } from '@skerry/common/controller/settlement';
import { isSkerryError } from '@skerry/common/errors';
import { type ParsedKey, parseKey } from '@skerry/common/keys';
import type { Entry, Settlement, StateSink } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { ownConditions, parseNodeReport } from './node-status.js';
import type { NodeWriter } from './node-writer.js';
import { parsePodReport, readyOf } from './pod-status.js';
import type { PodWriter } from './pod-writer.js';

export interface UpCounters {
  applied: number;
  gone: number;
  rejected: number;
  /** Labels and annotations outside of the allow-list. */
  ignoredLabels: number;
  /** Statuses that somebody else has overwritten and the edge is asked for again. */
  overwritten: number;
}

export interface UpSinkOptions {
  readonly node: string;
  readonly pods: PodWriter;
  readonly self: NodeWriter;
  readonly counters: UpCounters;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface UpSink extends StateSink {
  /** The API shows this of a key now. True when it is not what was written: the edge has to say it again. */
  observed(key: string, conditions: ReadonlyMap<string, string>): boolean;
  /** Gives up writes under way. */
  close(): void;
}

/** What was written under a key: its version and the status of the conditions that others may overwrite. */
interface Written {
  readonly version: string;
  readonly conditions: ReadonlyMap<string, string>;
}

interface Attempt {
  readonly settlement: Settlement;
  readonly conditions: ReadonlyMap<string, string>;
}

export function createUpSink(options: UpSinkOptions): UpSink {
  const { node, pods, self, counters, clock, random, logger } = options;
  const written = new Map<string, Written>();
  const closing = sharedAbortController();
  const retry = { signal: closing.signal, clock, random };

  async function writePod(key: ParsedKey, payload: Uint8Array): Promise<Attempt> {
    const report = parsePodReport(payload);
    const settlement = await pods.write(node, key, report, retry);
    return { settlement, conditions: podConditions(readyOf(report.status)) };
  }

  async function writeNode(key: ParsedKey, payload: Uint8Array): Promise<Attempt> {
    if (key.name !== node)
      return { settlement: rejected('Forbidden', `node ${node} may not report on node ${key.name}`), conditions: NONE };
    const report = parseNodeReport(payload);
    counters.ignoredLabels += report.ignored.length;
    const settlement = await self.write(report, retry);
    return { settlement, conditions: ownConditions(report.status) };
  }

  async function attempt(key: string, payload: Uint8Array): Promise<Attempt> {
    const parsed = parseKey(key);
    if (parsed.kind === 'podstatus') return writePod(parsed, payload);
    if (parsed.kind === 'node') return writeNode(parsed, payload);
    return { settlement: rejected('UnknownKind', `edgecontroller takes no ${parsed.kind}`), conditions: NONE };
  }

  /** To a report that could not be understood, or that nobody waits for any longer. */
  function answerOf(error: unknown): Attempt {
    if (closing.signal.aborted) return { settlement: rejected('Cancelled', 'the session has ended'), conditions: NONE };
    if (isSkerryError(error, 'invalid_argument')) return { settlement: rejectionOf(error), conditions: NONE };
    throw error;
  }

  function count(key: string, settlement: Settlement): void {
    if (settlement.outcome === Done_Outcome.OUTCOME_APPLIED) counters.applied += 1;
    else if (settlement.outcome === Done_Outcome.OUTCOME_GONE) counters.gone += 1;
    else {
      counters.rejected += 1;
      logger.warn('status rejected', { node, key, code: settlement.code, reason: settlement.reason });
    }
  }

  return {
    versions: function* () {
      for (const [key, { version }] of written) yield [key, version] as const;
    },
    async put(key: string, entry: Entry) {
      written.delete(key);
      const { settlement, conditions } = await attempt(key, entry.payload).catch(answerOf);
      if (closing.signal.aborted) return settlement;
      count(key, settlement);
      if (settlement.outcome === Done_Outcome.OUTCOME_APPLIED) written.set(key, { version: entry.version, conditions });
      return settlement;
    },
    // The edge knows nothing of the key any longer; what the API has of it ends with its object.
    async delete(key) {
      written.delete(key);
      return APPLIED;
    },
    synced: async () => {},
    unsynced: () => false,
    observed(key, conditions) {
      const mine = written.get(key);
      if (!mine || [...mine.conditions].every(([type, status]) => conditions.get(type) === status)) return false;
      written.delete(key);
      counters.overwritten += 1;
      return true;
    },
    close: () => closing.abort(),
  };
}

const NONE: ReadonlyMap<string, string> = new Map();

/** The node lifecycle controller sets Ready of every Pod on a node that is away; nobody touches the others. */
export function podConditions(ready: string | undefined): ReadonlyMap<string, string> {
  return ready === undefined ? NONE : new Map([['Ready', ready]]);
}
