import { describe, expect, test } from '@jest/globals';
import { configMapKey, secretKey } from '@skerry/common/keys';
import { containerDef, podOf } from '../testing/pods.js';
import { resolveEnv } from './env.js';
import { expand } from './expand.js';
import type { ContainerDef, References } from './types.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const references: References = new Map([
  [configMapKey('default', 'cm'), { data: { A: 'a', B: 'b', 'bad=name': 'x' } }],
  [secretKey('default', 'sec'), { data: { B: base64('secret-b'), P: base64('pässword') } }],
  [configMapKey('default', 'gone'), null],
]);
const facts = { nodeName: 'edge-1', hostIPs: ['10.0.0.1', 'fd00::1'], podIPs: ['10.0.0.2'] };
const pod = podOf('u1', { serviceAccountName: 'sa' }, { labels: { app: 'web' }, annotations: { 'x.y/z': 'note' } });

const resolve = (more: Partial<ContainerDef>, base = {}) =>
  resolveEnv(pod, containerDef(more), references, facts, base);
const envOf = (more: Partial<ContainerDef>, base = {}) => {
  const result = resolve(more, base);
  return result.kind === 'ok' ? result.env : result.message;
};

describe('expand', () => {
  const value = (name: string): string | undefined => ({ A: '1', EMPTY: '' })[name];
  test.each([
    ['$(A)', '1'],
    ['x$(A)y$(A)', 'x1y1'],
    ['$(NONE)', '$(NONE)'],
    ['$$(A)', '$(A)'],
    ['$$$(A)', '$1'],
    ['$$$$(A)', '$$(A)'],
    ['$A', '$A'],
    ['$(A', '$(A'],
    ['$(EMPTY)', ''],
    ['$()', '$()'],
    ['cost: 5$', 'cost: 5$'],
  ])('%s -> %s', (text, expected) => expect(expand(text, value)).toBe(expected));
});

describe('environment', () => {
  test('values may use what comes before them, not after', () =>
    expect(
      envOf(
        {
          env: [
            { name: 'LATE', value: '$(X)' },
            { name: 'X', value: 'x$(ROOT)' },
            { name: 'Y', value: '$(X)-$$(X)' },
          ],
        },
        { ROOT: '/r' },
      ),
    ).toEqual({ ROOT: '/r', LATE: '$(X)', X: 'x/r', Y: 'x/r-$(X)' }));

  test('envFrom in order with prefix, replaced by env, usable in it', () =>
    expect(
      envOf({
        envFrom: [
          { configMapRef: { name: 'cm' } },
          { secretRef: { name: 'sec' } },
          { prefix: 'S_', secretRef: { name: 'sec' } },
        ],
        env: [
          { name: 'A', value: 'mine' },
          { name: 'C', value: '$(B)' },
        ],
      }),
    ).toEqual({ A: 'mine', B: 'secret-b', P: 'pässword', S_B: 'secret-b', S_P: 'pässword', C: 'secret-b' }));

  test('names that no process can have are skipped and told', () =>
    expect(resolve({ envFrom: [{ configMapRef: { name: 'cm' } }] })).toMatchObject({ skipped: ['bad=name'] }));

  test.each([
    ['metadata.name', 'web'],
    ['metadata.namespace', 'default'],
    ['metadata.uid', 'u1'],
    ["metadata.labels['app']", 'web'],
    ["metadata.labels['none']", ''],
    ["metadata.annotations['x.y/z']", 'note'],
    ['spec.nodeName', 'edge-1'],
    ['spec.serviceAccountName', 'sa'],
    ['status.hostIP', '10.0.0.1'],
    ['status.hostIPs', '10.0.0.1,fd00::1'],
    ['status.podIP', '10.0.0.2'],
    ['status.podIPs', '10.0.0.2'],
  ])('field %s is %s', (fieldPath, value) =>
    expect(envOf({ env: [{ name: 'F', valueFrom: { fieldRef: { fieldPath } } }] })).toEqual({ F: value }),
  );

  test('keys of ConfigMaps and Secrets', () =>
    expect(
      envOf({
        env: [
          { name: 'X', valueFrom: { configMapKeyRef: { name: 'cm', key: 'A' } } },
          { name: 'Y', valueFrom: { secretKeyRef: { name: 'sec', key: 'P' } } },
        ],
      }),
    ).toEqual({ X: 'a', Y: 'pässword' }));

  test('what is missing and required is named as the kubelet names it', () => {
    const ref = (valueFrom: object) => envOf({ env: [{ name: 'X', valueFrom }] });
    expect(ref({ configMapKeyRef: { name: 'gone', key: 'A' } })).toBe('configmap "gone" not found');
    expect(ref({ secretKeyRef: { name: 'none', key: 'A' } })).toBe('secret "none" not found');
    expect(ref({ configMapKeyRef: { name: 'cm', key: 'Z' } })).toBe("couldn't find key Z in ConfigMap default/cm");
    expect(ref({ secretKeyRef: { name: 'sec', key: 'Z' } })).toBe("couldn't find key Z in Secret default/sec");
    expect(ref({ configMapKeyRef: { name: 'cm', key: 'toString' } })).toContain("couldn't find key toString");
    expect(envOf({ envFrom: [{ configMapRef: { name: 'gone' } }] })).toBe('configmap "gone" not found');
  });

  test('what is missing and optional is left out', () =>
    expect(
      envOf({
        envFrom: [{ configMapRef: { name: 'gone', optional: true } }],
        env: [
          { name: 'X', valueFrom: { configMapKeyRef: { name: 'cm', key: 'Z', optional: true } } },
          { name: 'Y', valueFrom: { secretKeyRef: { name: 'none', key: 'Z', optional: true } } },
          { name: 'Z', value: 'z' },
        ],
      }),
    ).toEqual({ Z: 'z' }));
});
