// Which failures of the API are waited out, and which are answered.
import { describe, expect, test } from '@jest/globals';
import { errorFromResponse, KubeError } from '../kube/kube-error.js';
import { fakeClock } from '../testing/fake-clock.js';
import { isPassing, persistently, rejectionOf } from './settlement.js';

const answer = (status: number, reason = ''): KubeError =>
  errorFromResponse('PATCH /x', status, JSON.stringify({ kind: 'Status', reason, message: 'no' }), undefined);

describe('isPassing', () => {
  test.each([
    [answer(500), true],
    [answer(503), true],
    [answer(429), true],
    [answer(401), true],
    [answer(409, 'Conflict'), true],
    [new KubeError('unavailable', 'reset', { httpStatus: 0 }), true],
    [new KubeError('deadline_exceeded', 'slow', { httpStatus: 0 }), true],
    [new KubeError('resource_exhausted', 'queue full', { httpStatus: 0 }), true],
    [new KubeError('cancelled', 'closed', { httpStatus: 0 }), false],
    [answer(409, 'AlreadyExists'), false],
    [answer(403), false],
    [answer(404), false],
    [answer(422), false],
    [new Error('bug'), false],
  ])('%s: %s', (error, passing) => {
    expect(isPassing(error)).toBe(passing);
  });
});

describe('persistently', () => {
  test('tries again until it succeeds', async () => {
    const clock = fakeClock();
    let attempts = 0;
    const done = persistently(
      async () => {
        attempts += 1;
        if (attempts < 4) throw answer(503);
        return 'written';
      },
      { signal: new AbortController().signal, clock, random: () => 0 },
    );
    await clock.advance(60_000);
    expect(await done).toBe('written');
    expect(attempts).toBe(4);
  });

  test('throws at once what stays', async () => {
    const options = { signal: new AbortController().signal, clock: fakeClock(), random: () => 0 };
    await expect(persistently(() => Promise.reject(answer(422)), options)).rejects.toMatchObject({ httpStatus: 422 });
  });

  test('ends with its signal and leaves no timer', async () => {
    const clock = fakeClock();
    const ending = new AbortController();
    const done = persistently(() => Promise.reject(answer(503)), { signal: ending.signal, clock, random: () => 0 });
    const failed = expect(done).rejects.toBe('over');
    await clock.advance(1_000);
    ending.abort('over');
    await failed;
    expect(clock.pending()).toBe(0);
  });
});

describe('rejectionOf', () => {
  test('is what the API said', () => {
    expect(rejectionOf(answer(422, 'Invalid'))).toMatchObject({
      code: 'Invalid',
      reason: expect.stringContaining('no'),
    });
    expect(rejectionOf(answer(413))).toMatchObject({ code: 'Http413' });
  });

  test('throws what nobody answered', () => {
    const lost = new KubeError('cancelled', 'closed', { httpStatus: 0 });
    expect(() => rejectionOf(lost)).toThrow('closed');
  });
});
