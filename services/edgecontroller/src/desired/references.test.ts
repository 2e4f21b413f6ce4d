// Every way in which a Pod's spec can name a ConfigMap or Secret.
import { describe, expect, test } from '@jest/globals';
import type { Pod } from '@skerry/common/kube/resources';
import { references } from './references.js';

const pod = (spec: unknown): Pod => ({
  metadata: { namespace: 'shop', name: 'p' },
  spec: spec as NonNullable<Pod['spec']>,
});
const using = (member: string, container: unknown): Pod =>
  pod({ containers: [], [member]: [{ name: 'c', ...(container as object) }] });

describe('references', () => {
  test.each([
    ['a ConfigMap volume', pod({ volumes: [{ name: 'v', configMap: { name: 'x' } }] }), ['configmap/shop/x']],
    ['a Secret volume', pod({ volumes: [{ name: 'v', secret: { secretName: 'x' } }] }), ['secret/shop/x']],
    [
      'projected sources',
      pod({
        volumes: [
          {
            name: 'v',
            projected: {
              sources: [
                { configMap: { name: 'a' } },
                { secret: { name: 'b' } },
                { serviceAccountToken: { path: 't' } },
                { downwardAPI: {} },
              ],
            },
          },
        ],
      }),
      ['configmap/shop/a', 'secret/shop/b'],
    ],
    ['pull secrets', pod({ containers: [], imagePullSecrets: [{ name: 'x' }, {}] }), ['secret/shop/x']],
    [
      'other volumes',
      pod({
        volumes: [
          { name: 'v', emptyDir: {} },
          { name: 'h', hostPath: { path: '/' } },
        ],
      }),
      [],
    ],
    ['nothing', pod(undefined), []],
  ])('%s', (_name, given, expected) => {
    expect(references(given)).toEqual(expected);
  });

  test.each(['containers', 'initContainers', 'ephemeralContainers'])('env and envFrom of %s', (member) => {
    const container = {
      env: [
        { name: 'A', value: 'plain' },
        { name: 'B', valueFrom: { configMapKeyRef: { name: 'b', key: 'k' } } },
        { name: 'C', valueFrom: { secretKeyRef: { name: 'c', key: 'k', optional: true } } },
        { name: 'D', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ],
      envFrom: [{ configMapRef: { name: 'e' } }, { secretRef: { name: 'f' } }],
    };
    expect(references(using(member, container))).toEqual([
      'configmap/shop/b',
      'configmap/shop/e',
      'secret/shop/c',
      'secret/shop/f',
    ]);
  });

  test('names each target once', () => {
    const volumes = [1, 2].map((n) => ({ name: `v${n}`, configMap: { name: 'x' } }));
    expect(
      references(pod({ volumes, containers: [{ name: 'c', envFrom: [{ configMapRef: { name: 'x' } }] }] })),
    ).toEqual(['configmap/shop/x']);
  });
});
