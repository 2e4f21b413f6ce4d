// What a lane session makes of peers that break the contract: an end with a reason, never a crash, never growing memory.
import { describe, expect, test } from '@jest/globals';
import { Controller, Done_Outcome, Lane } from '@skerry/gen/skerry/link/v1/link';
import { nullLogger } from '../logger.js';
import { fakeClock } from '../testing/fake-clock.js';
import { frameCost } from './cost.js';
import { createLaneSession } from './lane-session.js';
import { INITIAL_CREDIT, MAX_BODY_BYTES, MAX_PAYLOAD_BYTES } from './limits.js';
import { createRelayGuard } from './relay-guard.js';
import type { Body, Channel, Entry, Envelope, Settlement } from './types.js';

const STATE = Lane.LANE_KUBE_STATE;
const CALL = Lane.LANE_KUBE_CALL;

const put = (key: string, bytes = 10, version = '1'): Body => ({
  $case: 'put',
  value: { key, version, payload: Buffer.alloc(bytes), absent: false, references: [], shardEpoch: 1n, encoding: '' },
});
const chunk = (bytes: number, last = false): Body => ({ $case: 'chunk', value: { data: Buffer.alloc(bytes), last } });
const credit = (bytes: number): Body => ({ $case: 'credit', value: { bytes } });

/** A session whose sink never answers, on a channel that only remembers. */
function setUp(node = '', source: ReadonlyMap<string, Entry> = new Map()) {
  const clock = fakeClock();
  const sent: Envelope[] = [];
  const goodbyes: string[] = [];
  const errors: string[] = [];
  const settled: Settlement[] = [];
  const channel = {
    send: (envelope: Envelope) => void sent.push(envelope),
    hasRoom: () => true,
    close: ({ message = '' }) => void goodbyes.push(message),
  } as Partial<Channel> as Channel;
  let applying = 0;
  const never = (): Promise<Settlement> => {
    applying++;
    return new Promise(() => {});
  };
  const session = createLaneSession({
    role: node === '' ? 'edge' : 'controller',
    controller: Controller.CONTROLLER_KUBE,
    node,
    source: {
      versions: () => [...source].map(([key, { version }]) => [key, version] as const),
      read: (key) => source.get(key),
      complete: () => true,
      confirmAbsent: async () => true,
      settled: (_key, _version, settlement) => settled.push(settlement),
      epoch: () => 1n,
    },
    sink: { versions: () => [], put: never, delete: never, synced: async () => {}, unsynced: () => false },
    logSources: [],
    logSink: undefined,
    onCall: () => new Promise(() => {}),
    clock,
    logger: nullLogger(),
    onProtocolError: (message) => errors.push(message),
  });
  session.attach(channel, { shardEpoch: 1n });
  const receive = (body: Body, lane = STATE): void => session.receive({ lane, node, body });
  return { session, receive, sent, goodbyes, errors, settled, clock, applying: () => applying };
}

describe('a peer that breaks the contract is cut off', () => {
  test.each<[string, Body, Lane]>([
    ['an empty key', put(''), STATE],
    ['a key that is too long', put('k'.repeat(1_025)), STATE],
    ['a version that is too long', put('k', 1, 'v'.repeat(257)), STATE],
    ['a grant that is too small', credit(100), STATE],
    ['a grant that is too large', credit(2 ** 31), STATE],
    ['a lane of another controller', put('k'), Lane.LANE_DEVICE_STATE],
    ['a state message on the call lane', put('k'), CALL],
    ['an inventory that nobody asked for', { $case: 'inventory', value: { entries: [], last: true } }, STATE],
    ['log entries where no log is taken', { $case: 'doneThrough', value: { stream: '', epoch: '', n: 0n } }, STATE],
    ['an empty piece', chunk(0), STATE],
    ['pieces that make no body', chunk(50, true), STATE],
  ])('%s', (_what, body, lane) => {
    const { receive, goodbyes, errors, clock } = setUp();
    receive(body, lane);
    expect(goodbyes).toEqual(errors);
    expect(errors).toHaveLength(1);
    expect(clock.pending()).toBe(0);
  });

  test('a whole body between the pieces of another', () => {
    const { receive, errors } = setUp();
    receive(chunk(50));
    receive(put('k'));
    expect(errors[0]).toContain('between the pieces');
  });

  test('pieces without end', () => {
    const { receive, errors } = setUp();
    for (let bytes = 0; bytes <= MAX_BODY_BYTES; bytes += 32_768) receive(chunk(32_768));
    expect(errors[0]).toContain('chunked body');
  });

  test('at a controller only the node is let go, not the connection', () => {
    const { receive, sent, goodbyes, errors } = setUp('n1');
    receive(put(''));
    expect(errors).toHaveLength(1);
    expect(goodbyes).toEqual([]);
    expect(sent.at(-1)).toMatchObject({ lane: Lane.LANE_CONTROL, node: 'n1', body: { $case: 'goodbye' } });
    receive(put('k'));
    expect(errors).toHaveLength(1);
  });
});

describe('a peer that is only slow, or greedy, costs bounded memory', () => {
  test('entries past the credit end the session; until then few are applied at once', () => {
    const { receive, errors, applying } = setUp();
    const cost = frameCost(put('key-0000', 1_000));
    const allowed = Math.ceil(INITIAL_CREDIT / cost);
    for (let i = 0; i < allowed; i++) receive(put(`key-${String(i).padStart(4, '0')}`, 1_000));
    expect(errors).toEqual([]);
    expect(applying()).toBe(64);
    receive(put('one more'));
    expect(errors).toEqual(['a body was sent without credit']);
  });

  test('answers that the peer grants no credit for end the session', () => {
    const { receive, errors } = setUp('', new Map());
    const request: Body = { $case: 'inventoryRequest', value: { kinds: ['pod'], after: '' } };
    for (let i = 0; i < 100_000 && errors.length === 0; i++) receive(request);
    expect(errors).toEqual(['more was asked for than credit was granted to answer']);
  });

  test('calls past the limit are refused, and answered when there is credit', () => {
    const { receive, sent, errors } = setUp();
    receive(credit(INITIAL_CREDIT), CALL);
    for (let id = 1n; id <= 65n; id++) {
      const value = { id, method: 'hang', payload: Buffer.alloc(0), timeoutMs: 1_000, streaming: false };
      receive({ $case: 'callRequest', value }, CALL);
    }
    expect(errors).toEqual([]);
    expect(sent.at(-1)?.body).toMatchObject({ $case: 'callEnd', value: { id: 65n, code: 8 } });
  });

  test('an own entry that is too large is settled here and not sent', async () => {
    const entry: Entry = {
      version: '1',
      payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1),
      absent: false,
      references: [],
    };
    const { receive, session, settled, sent, clock } = setUp('', new Map([['configmap/a/b', entry]]));
    receive(credit(INITIAL_CREDIT));
    session.dirty('configmap/a/b');
    await clock.advance(0);
    expect(settled).toMatchObject([{ outcome: Done_Outcome.OUTCOME_REJECTED, code: 'TooLarge' }]);
    expect(sent.some(({ body }) => body.$case === 'put' || body.$case === 'chunk')).toBe(false);
  });
});

describe('the guard of the hub', () => {
  const on = (body: Body): Envelope => ({ lane: STATE, node: 'n1', body });

  test('passes what the other end granted, and no more', () => {
    const guard = createRelayGuard();
    expect(guard.check('up', on(put('k')))).toContain('without credit');
    expect(guard.check('down', on(credit(8_192)))).toBeUndefined();
    expect(guard.check('up', on(put('k', 9_000)))).toBeUndefined();
    expect(guard.check('up', on(put('k')))).toContain('without credit');
    expect(guard.check('down', on(put('k')))).toContain('without credit');
  });

  test('refuses what does not belong on a lane', () => {
    const guard = createRelayGuard();
    expect(guard.check('up', { lane: CALL, node: '', body: put('k') })).toContain('does not belong');
    expect(guard.check('up', { lane: 42 as Lane, node: '', body: credit(8_192) })).toContain('does not belong');
  });
});
