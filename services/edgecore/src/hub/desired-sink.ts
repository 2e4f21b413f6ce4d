// Desired state on its way into the meta store: what one controller sends to this node.
// Invariants: nothing is acknowledged before it is on disk; a shard owner older than the newest one that was heard is refused; only keys of
// the controller's own kinds are taken.
import { messageOf } from '@skerry/common/errors';
import { parseKey } from '@skerry/common/keys';
import { STALE_EPOCH } from '@skerry/common/link/state-sender';
import type { Settlement, StateSink } from '@skerry/common/link/types';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import type { Change, MetaStore } from '../meta/types.js';

export interface DesiredSinkOptions {
  /** "kube" or "device": names the records of this sink. */
  readonly controller: string;
  readonly kinds: readonly string[];
  readonly meta: MetaStore;
  /** The set is known to be full from now on. */
  readonly onSynced: () => void;
  /** A write did not reach the disk: what was refused for it has to be sent again, by a new connection. */
  readonly onStoreFailed: () => void;
}

export interface DesiredSink extends StateSink {
  /** Put and deleted since the start. */
  applied(): bigint;
}

const APPLIED: Settlement = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };

const syncedRecord = (controller: string): string => `synced/${controller}`;
const epochRecord = (controller: string): string => `epoch/${controller}`;

/** After a part of the store was lost: its absences mean nothing until the cloud has sent a full set. */
export async function distrustStore(meta: MetaStore, controllers: readonly string[]): Promise<void> {
  await meta.commit(controllers.map((name) => ({ kind: 'record', name: syncedRecord(name), value: undefined })));
}

export function createDesiredSink(options: DesiredSinkOptions): DesiredSink {
  const { controller, kinds, meta, onSynced, onStoreFailed } = options;
  const prefixes = kinds.map((kind) => `${kind}/`);
  let applied = 0n;

  const highest = (): bigint => BigInt(meta.record(epochRecord(controller)) ?? '0');

  function rejected(code: string, reason: string): Settlement {
    return { outcome: Done_Outcome.OUTCOME_REJECTED, code, reason };
  }

  function refusal(key: string, epoch: bigint): Settlement | undefined {
    if (epoch < highest()) {
      return rejected(STALE_EPOCH, `shard epoch ${epoch} is older than ${highest()}, which this node has heard`);
    }
    try {
      const { kind } = parseKey(key);
      return kinds.includes(kind) ? undefined : rejected('UnknownKind', `a ${kind} does not come from ${controller}`);
    } catch (error) {
      return rejected('InvalidKey', messageOf(error));
    }
  }

  /** The epoch goes first, so that it is never behind what it allowed. */
  async function commit(epoch: bigint, changes: readonly Change[]): Promise<void> {
    const raise: Change = { kind: 'record', name: epochRecord(controller), value: epoch.toString() };
    await meta.commit(epoch > highest() ? [raise, ...changes] : changes);
  }

  async function write(key: string, epoch: bigint, change: Change): Promise<Settlement> {
    const refused = refusal(key, epoch);
    if (refused) return refused;
    try {
      await commit(epoch, [change]);
    } catch (error) {
      onStoreFailed();
      return rejected('StoreFailed', messageOf(error));
    }
    applied += 1n;
    return APPLIED;
  }

  return {
    *versions() {
      for (const [key, { version }] of meta.entries('desired')) {
        if (prefixes.some((prefix) => key.startsWith(prefix))) yield [key, version] as const;
      }
    },
    put: (key, entry, epoch) => write(key, epoch, { kind: 'put', space: 'desired', key, entry }),
    delete: (key, _version, epoch) => write(key, epoch, { kind: 'delete', space: 'desired', key }),
    async synced(epoch) {
      if (epoch < highest() || meta.record(syncedRecord(controller)) === 'true') return;
      await commit(epoch, [{ kind: 'record', name: syncedRecord(controller), value: 'true' }]);
      onSynced();
    },
    unsynced: () => meta.record(syncedRecord(controller)) !== 'true',
    applied: () => applied,
  };
}
