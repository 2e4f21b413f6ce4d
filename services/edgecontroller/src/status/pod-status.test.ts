// What a report changes in a Pod's status, and what it must not.
import { describe, expect, test } from '@jest/globals';
import { mergePodStatus, type PodStatus, parsePodReport, podStatusPatch } from './pod-status.js';

const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const condition = (type: string, status: string) => ({ type, status });
const status = (fields: object): PodStatus => fields as PodStatus;

describe('parsePodReport', () => {
  test.each([
    ['no JSON', 'x'],
    ['no object', '[]'],
    ['a status that is text', { status: 'Running' }],
    ['no phase', { status: {} }],
    ['a phase that is none', { status: { phase: 'Dancing' } }],
    ['conditions without type', { status: { phase: 'Running', conditions: [{}] } }],
  ])('refuses %s', (_name, report) => {
    expect(() => parsePodReport(bytes(report))).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  test('knows a stopped Pod', () => {
    expect(parsePodReport(bytes({ status: { phase: 'Failed' }, stopped: true })).stopped).toBe(true);
    expect(parsePodReport(bytes({ status: { phase: 'Failed' } })).stopped).toBe(false);
  });
});

describe('mergePodStatus', () => {
  test("takes the edge's fields and keeps those of others", () => {
    const live = status({
      phase: 'Pending',
      qosClass: 'Burstable',
      nominatedNodeName: 'n',
      reason: 'Old',
      conditions: [condition('PodScheduled', 'True'), condition('gate.example.com/ready', 'False')],
    });
    const reported = status({
      phase: 'Running',
      qosClass: 'Guaranteed',
      podIP: '10.0.0.1',
      conditions: [condition('Ready', 'True'), condition('PodScheduled', 'False')],
    });
    expect(mergePodStatus(live, reported)).toEqual({
      phase: 'Running',
      qosClass: 'Burstable',
      nominatedNodeName: 'n',
      podIP: '10.0.0.1',
      conditions: [
        condition('PodScheduled', 'True'),
        condition('Ready', 'True'),
        condition('gate.example.com/ready', 'False'),
      ],
    });
  });

  test('keeps the first start time', () => {
    const merged = mergePodStatus(status({ startTime: 'a' }), status({ phase: 'Running', startTime: 'b' }));
    expect(merged.startTime).toBe('a');
  });

  test.each([
    ['Succeeded', 'Running'],
    ['Failed', 'Pending'],
    ['Failed', 'Succeeded'],
  ])('never leaves %s for %s', (before, after) => {
    const live = status({ phase: before, reason: 'Evicted', message: 'by somebody' });
    const merged = mergePodStatus(live, status({ phase: after, containerStatuses: [] }));
    expect(merged).toMatchObject({ phase: before, reason: 'Evicted', message: 'by somebody', containerStatuses: [] });
  });

  test('a terminal phase may gain details', () => {
    const merged = mergePodStatus(status({ phase: 'Failed' }), status({ phase: 'Failed', reason: 'Error' }));
    expect(merged.reason).toBe('Error');
  });
});

describe('podStatusPatch', () => {
  test('is nothing when an edge knows of a finished Pod only its phase', () => {
    const live = status({
      phase: 'Succeeded',
      reason: 'r',
      podIP: 'x',
      containerStatuses: [{ name: 'c' }],
      conditions: [condition('Ready', 'False')],
    });
    expect(podStatusPatch(live, status({ phase: 'Succeeded' }))).toBeUndefined();
  });

  test('holds what differs, null for what is gone', () => {
    const live = status({ phase: 'Running', message: 'old', podIP: 'x', conditions: [condition('Ready', 'True')] });
    const reported = status({ phase: 'Running', podIP: 'x', conditions: [condition('Ready', 'False')] });
    expect(podStatusPatch(live, reported)).toEqual({ message: null, conditions: [condition('Ready', 'False')] });
  });

  test('is nothing when the API shows the report, in another order and with nulls', () => {
    const live = status({
      phase: 'Running',
      conditions: [{ ...condition('Ready', 'True'), lastProbeTime: null }, condition('Initialized', 'True')],
    });
    const reported = status({
      phase: 'Running',
      conditions: [condition('Initialized', 'True'), condition('Ready', 'True')],
    });
    expect(podStatusPatch(live, reported)).toBeUndefined();
  });

  test('works on a Pod without status', () => {
    expect(podStatusPatch(undefined, status({ phase: 'Pending' }))).toEqual({ phase: 'Pending' });
  });
});
