// What the engine itself remembers of a Pod: when it was accepted, how it was judged, what was last told of it.
// Invariant: everything else is derived from the runtime, so a lost record costs times, not containers; a verdict and a final status are on
// disk before they are told.
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { passableFolder, writeFileAtomic } from '../../disk/files.js';
import type { PodStatus, Verdict } from '../pod/types.js';
import { readJson } from '../read-json.js';

export interface PodRecord {
  /** When the node accepted the Pod, Unix ms. */
  readonly startedAtMs: number;
  /** How long an engine had been looking after it when this was written, by the monotonic clock. */
  readonly activeMs?: number;
  /** The Pod has failed as a whole. */
  readonly verdict?: Verdict;
  /** The verdict fell before anything of the Pod was started. */
  readonly refused?: boolean;
  /** Last computed; gives the transition times. */
  readonly status?: PodStatus;
  /** `status` is the last word. */
  readonly final?: boolean;
}

export interface Records {
  load(podUid: string): Promise<PodRecord | undefined>;
  save(podUid: string, record: PodRecord): Promise<void>;
}

/** Beside the Pod's volumes, and removed with them. */
export function createRecords(dir: string): Records {
  const pathOf = (podUid: string): string => join(dir, podUid, 'record.json');
  return {
    load: (podUid) => readJson<PodRecord>(pathOf(podUid)),
    async save(podUid, record) {
      await passableFolder(join(dir, podUid));
      const path = pathOf(podUid);
      const text = JSON.stringify(record);
      if (record.verdict || record.final) await writeFileAtomic(path, text);
      else {
        // Can be found out again: not worth an fsync for each change of a status.
        await writeFile(`${path}.new`, text, { mode: 0o600 });
        await rename(`${path}.new`, path);
      }
    },
  };
}
