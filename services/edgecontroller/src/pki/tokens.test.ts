import { describe, expect, test } from '@jest/globals';
import type { JoinTokenRecord } from '@skerry/common/kube/join-token';
import { secretHashOf } from '@skerry/common/pki/join-token';
import { judge } from './tokens.js';

const NOW = Date.UTC(2026, 0, 1);
const by = { node: 'edge-1', keyHash: 'aa' };
const record: JoinTokenRecord = {
  secretHash: secretHashOf('s3cret'),
  expiresAt: new Date(NOW + 1_000).toISOString(),
};

describe('judging a token', () => {
  const table: [string, JoinTokenRecord | undefined, string, number, string][] = [
    ['an unused one is fresh', record, 's3cret', NOW, 'fresh unbound'],
    ['one made for this node is bound', { ...record, node: 'edge-1' }, 's3cret', NOW, 'fresh bound'],
    ['an unknown one', undefined, 's3cret', NOW, 'unauthenticated'],
    ['a wrong secret', record, 'other', NOW, 'unauthenticated'],
    ['at its end', record, 's3cret', NOW + 1_000, 'unauthenticated'],
    ['one made for another node', { ...record, node: 'edge-2' }, 's3cret', NOW, 'permission_denied'],
    ['used by the same node and key', { ...record, usedByNode: 'edge-1', usedByKey: 'aa' }, 's3cret', NOW, 'again'],
    ['used with another key', { ...record, usedByNode: 'edge-1', usedByKey: 'bb' }, 's3cret', NOW, 'unauthenticated'],
    ['used by another node', { ...record, usedByNode: 'edge-2', usedByKey: 'aa' }, 's3cret', NOW, 'unauthenticated'],
  ];
  test.each(table)('%s', (_what, seen, secret, nowMs, want) => {
    const verdict = judge(seen, secret, by, nowMs);
    const said =
      verdict.kind === 'refused'
        ? verdict.error.code
        : verdict.kind === 'fresh'
          ? `fresh ${verdict.bound ? 'bound' : 'unbound'}`
          : verdict.kind;
    expect(said).toBe(want);
  });
});
