// Keeps the Node object in the observed state: looks every few seconds, speaks when something changed and every few minutes.
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { nodeKey } from '@skerry/common/keys';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { versionOf } from '@skerry/common/version';
import type { Reporter } from '../hub/observed-state.js';
import type { MetaStore } from '../meta/types.js';
import type { SidecarAlive } from '../supervisor/alive.js';
import type { NodeFacts } from './node-facts.js';
import { type ConditionStates, nodeStatus } from './node-status.js';

export interface NodeReporterOptions {
  readonly node: string;
  readonly runtime: string;
  readonly softwareVersion: string;
  readonly meta: MetaStore;
  readonly openReporter: () => Reporter;
  readonly readFacts: () => Promise<NodeFacts>;
  readonly engineAlive: () => SidecarAlive | undefined;
  readonly cloudNowMs: () => number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface NodeReporter extends Component {
  /** Looks now: the engine said something new. */
  look(): void;
}

const LOOK_EVERY_MS = 5_000;
const SPEAK_EVERY_MS = 240_000;
const CONDITIONS_RECORD = 'node-conditions';
const PROJECTION = 1;

export function createNodeReporter(options: NodeReporterOptions): NodeReporter {
  const { node, meta, clock, logger } = options;
  const startedMs = clock.monotonicMs();
  let reporter: Reporter | undefined;
  let facts: NodeFacts | undefined;
  let conditions = parseConditions(meta.record(CONDITIONS_RECORD));
  let saidMs = Number.NEGATIVE_INFINITY;
  let said = '';
  let timer: Timer | undefined;
  let stopped = false;

  function look(): void {
    if (!facts || !reporter || stopped) return;
    const monotonicMs = clock.monotonicMs();
    const input = {
      ...{ node, runtime: options.runtime, softwareVersion: options.softwareVersion, facts, monotonicMs, startedMs },
      ...{ engine: options.engineAlive(), nowMs: options.cloudNowMs(), before: conditions },
    };
    const status = nodeStatus(input);
    keepConditions(status.conditions);
    // The same question at a fixed time: equal answers differ in nothing but the heartbeat.
    const comparable = JSON.stringify(nodeStatus({ ...input, nowMs: 0, before: conditions }).object);
    if (comparable === said && monotonicMs - saidMs < SPEAK_EVERY_MS) return;
    said = comparable;
    saidMs = monotonicMs;
    const payload = Buffer.from(JSON.stringify(status.object));
    reporter.put(nodeKey(node), {
      ...{ version: versionOf(PROJECTION, '', status.object), payload },
      ...{ absent: false, references: [] },
    });
  }

  function keepConditions(next: ConditionStates): void {
    if (JSON.stringify(next) === JSON.stringify(conditions)) return;
    conditions = next;
    meta
      .commit([{ kind: 'record', name: CONDITIONS_RECORD, value: JSON.stringify(next) }])
      .catch((error: unknown) => logger.warn('node conditions could not be kept', { error: messageOf(error) }));
  }

  async function refresh(): Promise<void> {
    try {
      facts = await options.readFacts();
      look();
    } catch (error) {
      logger.warn('node facts could not be read', { error: messageOf(error) });
    }
    if (!stopped) timer = clock.after(LOOK_EVERY_MS, () => void refresh());
  }

  return {
    name: 'node-reporter',
    look,
    async start() {
      reporter = options.openReporter();
      await refresh();
      reporter.complete();
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      reporter?.close();
    },
  };
}

function parseConditions(record: string | undefined): ConditionStates {
  try {
    return record === undefined ? {} : (JSON.parse(record) as ConditionStates);
  } catch {
    return {};
  }
}
