import { describe, expect, test } from '@jest/globals';
import { SkerryError } from '@skerry/common/errors';
import { type Logger, nullLogger } from '@skerry/common/logger';
import { type FakeClock, fakeClock } from '@skerry/common/testing/fake-clock';
import { keepConnected, type Reconnecting, type Session } from './reconnect.js';

/** Without jitter: random() = 0 waits the full ceiling. */
function connect(clock: FakeClock, session: Session): Reconnecting {
  return keepConnected({ name: 'test', session, clock, logger: nullLogger(), random: () => 0 });
}

describe('keepConnected', () => {
  test('waits 0.5 s, doubling to 5 s, between failed sessions', async () => {
    const openedAtMs: number[] = [];
    const clock = fakeClock();
    const connection = connect(clock, async () => {
      openedAtMs.push(clock.monotonicMs());
      throw new Error('refused');
    });
    await clock.advance(18_000);
    expect(openedAtMs).toEqual([0, 500, 1_500, 3_500, 7_500, 12_500, 17_500]);
    await connection.stop();
    expect(clock.pending()).toBe(0);
  });

  test('starts with the short wait again after a session that worked', async () => {
    const openedAtMs: number[] = [];
    const clock = fakeClock();
    const connection = connect(clock, async (_signal, healthy) => {
      openedAtMs.push(clock.monotonicMs());
      if (openedAtMs.length === 3) healthy();
    });
    await clock.advance(2_000);
    expect(openedAtMs).toEqual([0, 500, 1_500, 2_000]);
    await connection.stop();
  });

  test.each([
    ['a process that is away', new SkerryError('unavailable', 'r'), []],
    ['a refusal', new SkerryError('invalid_argument', 'r'), ['r']],
  ])('%s is worth a warning or not', async (_name, error, expected) => {
    const warned: unknown[] = [];
    const logger: Logger = { ...nullLogger(), warn: (_message, fields) => void warned.push(fields?.['reason']) };
    const clock = fakeClock();
    const session = () => Promise.reject(error);
    const connection = keepConnected({ name: 'test', session, clock, logger, random: () => 0 });
    await clock.advance(400);
    await connection.stop();
    expect(warned).toEqual(expected);
  });

  test('stop aborts the session and waits for its end', async () => {
    let ended = false;
    const connection = connect(
      fakeClock(),
      (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            ended = true;
            resolve();
          });
        }),
    );
    await connection.stop();
    expect(ended).toBe(true);
  });
});
