import { describe, expect, test } from '@jest/globals';
import { buildEvent, type EventInput, postEvent } from './events.js';
import { KubeError } from './kube-error.js';

const input: EventInput = {
  id: 'edge-1/5/events/17',
  involved: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'u-1' },
  type: 'Warning',
  reason: 'BackOff',
  message: 'Back-off restarting failed container',
  count: 4,
  firstMs: 1_700_000_000_123,
  lastMs: 1_700_000_060_456,
  component: 'edgecore',
  host: 'edge-1',
};

describe('events', () => {
  test('an entry has one name, readable and unique', () => {
    const name = buildEvent(input).metadata?.name ?? '';
    expect(name).toMatch(/^web-0\.[0-9a-f]{24}$/);
    expect(buildEvent({ ...input, count: 9 }).metadata?.name).toBe(name);
    expect(buildEvent({ ...input, id: 'edge-1/5/events/18' }).metadata?.name).not.toBe(name);
    const long = buildEvent({
      ...input,
      involved: { ...input.involved, name: `${'a'.repeat(199)}-${'b'.repeat(50)}` },
    });
    expect(long.metadata?.name).toMatch(/^a{199}\.[0-9a-f]{24}$/);
  });

  test('fields are those of core/v1, within its bounds', () => {
    expect(buildEvent({ ...input, message: 'x'.repeat(5_000) })).toMatchObject({
      metadata: { namespace: 'shop' },
      involvedObject: { kind: 'Pod', uid: 'u-1' },
      type: 'Warning',
      count: 4,
      firstTimestamp: '2023-11-14T22:13:20Z',
      lastTimestamp: '2023-11-14T22:14:20Z',
      reportingComponent: 'edgecore',
      source: { component: 'edgecore', host: 'edge-1' },
      message: 'x'.repeat(1_024),
    });
    const { namespace: _, ...node } = { ...input.involved, kind: 'Node', name: 'edge-1' };
    expect(buildEvent({ ...input, involved: node }).metadata?.namespace).toBe('default');
  });

  test('one that is there already is done; other failures are told', async () => {
    const failing = (reason: string, status: number) => ({
      create: () => Promise.reject(new KubeError('internal', reason, { httpStatus: status, reason })),
    });
    await postEvent(failing('AlreadyExists', 409), input);
    await expect(postEvent(failing('NotFound', 404), input)).rejects.toMatchObject({ httpStatus: 404 });
  });
});
