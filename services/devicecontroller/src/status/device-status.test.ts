// Reports of devices, taken in and merged.
import { describe, expect, test } from '@jest/globals';
import { foreignTwins, mergeDeviceStatus, parseDeviceReport } from './device-status.js';

const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const twin = (propertyName: string, value: string) => ({ propertyName, reported: { value } });

describe('parseDeviceReport', () => {
  test('reads state, time and twins', () => {
    const status = {
      state: 'online',
      lastOnlineTime: '2026-01-01T00:00:00Z',
      twins: [
        {
          propertyName: 'rpm',
          reported: { value: '1500', metadata: { timestamp: 1700, type: 'string' } },
          observedDesired: { value: '1600' },
          surplus: 1,
        },
      ],
      surplus: 1,
    };
    expect(parseDeviceReport(bytes({ status }))).toEqual({
      state: 'online',
      lastOnlineTime: '2026-01-01T00:00:00Z',
      twins: [
        {
          propertyName: 'rpm',
          reported: { value: '1500', metadata: { timestamp: '1700', type: 'string' } },
          observedDesired: { value: '1600' },
        },
      ],
    });
  });

  test.each([
    ['no JSON', '{'],
    ['twins that are no list', { status: { twins: {} } }],
    ['a twin without name', { status: { twins: [{ reported: { value: '1' } }] } }],
    ['a value that is no text', { status: { twins: [{ propertyName: 'a', reported: { value: 1 } }] } }],
  ])('refuses %s', (_name, report) => {
    expect(() => parseDeviceReport(bytes(report))).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });
});

describe('mergeDeviceStatus', () => {
  const properties = new Set(['rpm', 'temperature']);

  test('takes the report, keeps what it does not speak of, drops what the Device does not have', () => {
    const known = { state: 'online', lastOnlineTime: 't1', twins: [twin('temperature', '20'), twin('removed', '1')] };
    const report = { state: 'offline', twins: [twin('rpm', '0'), twin('unknown', '1')] };
    expect(mergeDeviceStatus(known, report, properties)).toEqual({
      state: 'offline',
      lastOnlineTime: 't1',
      twins: [twin('rpm', '0'), twin('temperature', '20')],
    });
    expect(foreignTwins(report, properties)).toBe(1);
  });

  test('merges the two sides of a twin', () => {
    const known = { twins: [{ propertyName: 'rpm', observedDesired: { value: '5' }, reported: { value: '4' } }] };
    expect(mergeDeviceStatus(known, { twins: [twin('rpm', '5')] }, properties).twins).toEqual([
      { propertyName: 'rpm', observedDesired: { value: '5' }, reported: { value: '5' } },
    ]);
  });
});
