// Who should have which shard, and what this replica does about it now: pure functions over what it sees.
// Invariants: replicas that see the same members compute the same assignment; a shard is taken only when it is free, our own, or its
// holder is believed dead (which the caller confirms before it writes).
import { createHash } from 'node:crypto';
import type { LeaseRecord } from './lease.js';

/** The owner of each shard: rendezvous hashing, capped at an even share (rounded up), so that few shards move when members change. */
export function assignShards(members: readonly string[], shards: number): string[] {
  const load = new Map(members.map((member) => [member, 0]));
  const cap = Math.ceil(shards / Math.max(members.length, 1));
  const owners: string[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const owner = ranked(members, shard).find((member) => (load.get(member) ?? 0) < cap);
    if (owner === undefined) break; // only without members
    load.set(owner, (load.get(owner) ?? 0) + 1);
    owners.push(owner);
  }
  return owners;
}

function ranked(members: readonly string[], shard: number): string[] {
  const weight = (member: string): string => createHash('sha256').update(`${shard}/${member}`).digest('hex');
  return members
    .map((member) => [weight(member), member] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, member]) => member);
}

export interface ClaimView {
  readonly self: string;
  /** Members that are alive, `self` among them. */
  readonly members: ReadonlySet<string>;
  /** By shard; a shard without a Lease was never claimed. */
  readonly leases: ReadonlyMap<number, LeaseRecord>;
  /** Shards that are served here now. */
  readonly owned: ReadonlyMap<number, number>;
  readonly shards: number;
}

export type ClaimAction =
  | { readonly kind: 'take'; readonly shard: number; readonly record: LeaseRecord | undefined }
  /** Take after a live look at the holder's membership confirmed that it is dead. */
  | { readonly kind: 'take-over'; readonly shard: number; readonly record: LeaseRecord; readonly from: string }
  /** Stop serving, then free the Lease for the member that should have it. */
  | { readonly kind: 'release'; readonly shard: number; readonly record: LeaseRecord };

export function planClaims(view: ClaimView): ClaimAction[] {
  const owners = assignShards([...view.members].sort(), view.shards);
  const actions: ClaimAction[] = [];
  owners.forEach((owner, shard) => {
    const record = view.leases.get(shard);
    const action = owner === view.self ? toGet(view, shard, record) : toGiveUp(view, shard, record);
    if (action) actions.push(action);
  });
  return actions;
}

function toGet(view: ClaimView, shard: number, record: LeaseRecord | undefined): ClaimAction | undefined {
  if (view.owned.has(shard)) return undefined;
  if (!record || record.holder === '' || record.holder === view.self) return { kind: 'take', shard, record };
  return view.members.has(record.holder) ? undefined : { kind: 'take-over', shard, record, from: record.holder };
}

/** Also what is not served here any longer, but still has our name on it: nobody else may take it from a living member. */
function toGiveUp(view: ClaimView, shard: number, record: LeaseRecord | undefined): ClaimAction | undefined {
  if (!record || (record.holder !== view.self && !view.owned.has(shard))) return undefined;
  return { kind: 'release', shard, record };
}
