import { describe, expect, test } from '@jest/globals';
import { parseTopic } from './topics.js';

describe('parseTopic', () => {
  test.each<[string, object]>([
    [
      '$hw/events/device/plant/pump-1/twin/update',
      { kind: 'device', device: { namespace: 'plant', name: 'pump-1' }, asked: 'twin/update' },
    ],
    [
      '$hw/events/device/device/twin/twin/get',
      { kind: 'device', device: { namespace: 'device', name: 'twin' }, asked: 'twin/get' },
    ],
    [
      '$hw/events/device/hw/events/state/update',
      { kind: 'device', device: { namespace: 'hw', name: 'events' }, asked: 'state/update' },
    ],
    ['$hw/events/node/node/membership/get', { kind: 'membership', node: 'node' }],
    ['plant/user/x', { kind: 'plain' }],
    ['SYS/dis/upload_records', { kind: 'plain' }],
  ])('%s', (topic, parsed) => expect(parseTopic(topic)).toEqual(parsed));

  test.each([
    '$hw/events/device/plant/pump-1/twin/update/result',
    '$hw/events/device/plant/pump-1/twin/update/delta',
    '$hw/events/device/plant/pump-1/twin/cloud_updated',
    '$hw/events/device/plant/pump-1/updated',
    '$hw/events/device/pump-1/twin/update',
    '$hw/events/device/a/b/c/twin/update',
    '$hw/events/node/n/membership/updated',
    '$hw/events/node/n',
    '$hw/events/upload/x',
    '$hw/events/edgeGroup/g/membership/get',
    '$hw/events/',
    '$hw',
    '$SYS/broker',
    '$skerry/nowhere',
    '$',
  ])('%s is refused with a reason', (topic) =>
    expect(parseTopic(topic)).toMatchObject({ kind: 'refused', reason: expect.stringMatching(/.{10}/) }),
  );
});
