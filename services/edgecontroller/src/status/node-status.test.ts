// What an edge may say of its Node, and which of it is written.
import { describe, expect, test } from '@jest/globals';
import type { Node } from '@skerry/common/kube/resources';
import { type NodeStatus, nodeMetadataPatch, nodeStatusPatch, nodeToRegister, parseNodeReport } from './node-status.js';

const report = (metadata: object, status: object = {}) =>
  parseNodeReport(Buffer.from(JSON.stringify({ metadata, status })));
const NOW = Date.parse('2026-01-01T01:00:00Z');
const ready = (status: string, lastHeartbeatTime: string) => ({ type: 'Ready', status, lastHeartbeatTime });
const nodeStatus = (...conditions: object[]): NodeStatus => ({ conditions }) as unknown as NodeStatus;

describe('parseNodeReport', () => {
  test('takes labels and annotations from the allow-list and counts the others', () => {
    const labels = {
      'kubernetes.io/arch': 'arm64',
      'skerry.dev/site': 'north',
      'node.skerry.dev/rack': '7',
      'node-role.kubernetes.io/control-plane': '',
      'topology.kubernetes.io/zone': 'a',
      'evil.skerry.dev/x': '',
    };
    const annotations = { 'skerry.dev/boot': 'b', 'skerry.dev/autonomy': 'true', 'other.example.com/x': '' };
    expect(report({ labels, annotations })).toMatchObject({
      labels: {
        'node-role.kubernetes.io/edge': '',
        'kubernetes.io/arch': 'arm64',
        'skerry.dev/site': 'north',
        'node.skerry.dev/rack': '7',
      },
      annotations: { 'skerry.dev/boot': 'b' },
      ignored: [
        'node-role.kubernetes.io/control-plane',
        'topology.kubernetes.io/zone',
        'evil.skerry.dev/x',
        'skerry.dev/autonomy',
        'other.example.com/x',
      ],
    });
  });

  test('registers without taints, whatever was reported', () => {
    const node = nodeToRegister('edge-1', report({ labels: {}, taints: [{}] }, { spec: { taints: [{}] } }));
    expect(node).toEqual({
      metadata: { name: 'edge-1', labels: { 'node-role.kubernetes.io/edge': '' }, annotations: {} },
    });
  });

  test('refuses conditions that are none', () => {
    expect(() => report({}, { conditions: 'all good' })).toThrow('conditions without type and status');
  });
});

describe('nodeMetadataPatch', () => {
  const live: Node = {
    metadata: { labels: { 'node-role.kubernetes.io/edge': '', 'skerry.dev/site': 'north', mine: '1' } },
  };

  test('is nothing when the Node has it all', () => {
    expect(nodeMetadataPatch(live, report({ labels: { 'skerry.dev/site': 'north' } }))).toBeUndefined();
  });

  test('holds what differs and touches nothing else', () => {
    expect(nodeMetadataPatch(live, report({ labels: { 'skerry.dev/site': 'south' } }))).toEqual({
      labels: { 'skerry.dev/site': 'south' },
    });
  });
});

describe('nodeStatusPatch', () => {
  const live = nodeStatus(ready('True', '2026-01-01T00:58:00Z'), { type: 'DuplicateNode', status: 'False' });

  test('keeps conditions of others and overwrites its own', () => {
    expect(nodeStatusPatch(live, nodeStatus(ready('False', '2026-01-01T01:00:00Z')), NOW)).toEqual({
      conditions: [{ type: 'DuplicateNode', status: 'False' }, ready('False', '2026-01-01T01:00:00Z')],
    });
  });

  test('spares a write for a heartbeat alone, for five minutes', () => {
    const beat = nodeStatus(ready('True', '2026-01-01T00:59:00Z'));
    expect(nodeStatusPatch(live, beat, NOW)).toBeUndefined();
    expect(nodeStatusPatch(live, beat, NOW + 181_000)).toBeDefined();
  });

  test('writes Ready again after somebody set it to Unknown', () => {
    const overwritten = nodeStatus({ type: 'Ready', status: 'Unknown', lastHeartbeatTime: '2026-01-01T00:59:59Z' });
    expect(nodeStatusPatch(overwritten, nodeStatus(ready('True', '2026-01-01T00:59:00Z')), NOW)).toBeDefined();
  });

  test('takes capacity, addresses and node info', () => {
    const status = { capacity: { cpu: '2' }, addresses: [{ type: 'Hostname', address: 'e' }], nodeInfo: { arch: 'x' } };
    expect(nodeStatusPatch(undefined, status as unknown as NodeStatus, NOW)).toMatchObject(status);
  });
});
