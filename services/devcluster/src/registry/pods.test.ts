import { describe, expect, test } from '@jest/globals';
import { cloneJson, type KubeObject, without } from '../api/objects.js';
import { defaultPod, qosClass } from './pod-defaults.js';
import { validatePod, validatePodUpdate } from './pod-validation.js';

function pod(spec: object = {}): KubeObject {
  const made: KubeObject = {
    metadata: { name: 'p', namespace: 'n' },
    spec: { containers: [{ name: 'c', image: 'busybox' }], ...spec },
  };
  defaultPod(made);
  return made;
}

describe('defaults', () => {
  test('are those of Kubernetes', () => {
    expect(pod().spec).toMatchObject({
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      terminationGracePeriodSeconds: 30,
      schedulerName: 'default-scheduler',
      enableServiceLinks: true,
      serviceAccountName: 'default',
      containers: [{ imagePullPolicy: 'Always', terminationMessagePath: '/dev/termination-log', resources: {} }],
    });
    expect(pod().spec?.['tolerations']).toHaveLength(2);
    expect(pod({ tolerations: [{ operator: 'Exists' }] }).spec?.['tolerations']).toHaveLength(1);
  });

  test.each([
    ['busybox', 'Always'],
    ['busybox:latest', 'Always'],
    ['busybox:1', 'IfNotPresent'],
    ['host:5000/busybox', 'Always'],
    ['busybox@sha256:00', 'IfNotPresent'],
  ])('image %s is pulled %s', (image, policy) => {
    expect(pod({ containers: [{ name: 'c', image }] }).spec?.['containers']).toMatchObject([
      { imagePullPolicy: policy },
    ]);
  });

  test('volumes, probes and requests', () => {
    const made = pod({
      volumes: [{ name: 'a', configMap: { name: 'x' } }, { name: 'b' }],
      containers: [
        { name: 'c', image: 'i', resources: { limits: { cpu: '1' } }, livenessProbe: { httpGet: { port: 80 } } },
      ],
    });
    expect(made.spec).toMatchObject({
      volumes: [{ configMap: { defaultMode: 420 } }, { emptyDir: {} }],
      containers: [
        {
          resources: { requests: { cpu: '1' } },
          livenessProbe: { periodSeconds: 10, httpGet: { path: '/', scheme: 'HTTP' } },
        },
      ],
    });
  });

  test.each([
    [[{}], 'BestEffort'],
    [[{ resources: { requests: { cpu: '1' } } }], 'Burstable'],
    [[{ resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: '1000m', memory: '1Gi' } } }], 'Guaranteed'],
  ])('QoS of %j is %s', (containers, expected) => expect(qosClass({ containers })).toBe(expected));
});

describe('validation', () => {
  const fields = (spec: object): string[] => validatePod(pod(spec)).map((error) => `${error.field}: ${error.type}`);
  test.each([
    [{}, []],
    [{ containers: [] }, ['spec.containers: required']],
    [{ containers: [{ name: 'C', image: 'x' }] }, ['spec.containers[0].name: invalid']],
    [{ containers: [{ name: 'c' }] }, ['spec.containers[0].image: required']],
    [
      { containers: [{ name: 'c', image: 'x', volumeMounts: [{ name: 'v', mountPath: '/x' }] }] },
      ['spec.containers[0].volumeMounts[0].name: notFound'],
    ],
    [
      { containers: [{ name: 'c', image: 'x', ports: [{ containerPort: 99_999 }] }] },
      ['spec.containers[0].ports[0].containerPort: invalid'],
    ],
    [
      { containers: [{ name: 'c', image: 'x', resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } }] },
      ['spec.containers[0].resources.requests: invalid'],
    ],
    [{ restartPolicy: 'Sometimes' }, ['spec.restartPolicy: unsupported']],
    [{ initContainers: [{ name: 'c', image: 'x' }] }, ['spec.containers[0].name: duplicate']],
    [{ tolerations: [{ key: 'a', operator: 'Exists', value: 'x' }] }, ['spec.tolerations[0].operator: invalid']],
    [{ volumes: [{ name: 'v', emptyDir: {}, hostPath: { path: '/' } }] }, ['spec.volumes[0].hostPath: forbidden']],
  ])('%j -> %j', (spec, expected) => expect(fields(spec)).toEqual(expected));
});

describe('updates', () => {
  const change = (edit: (spec: Record<string, unknown>) => void, before: object = {}): string[] => {
    const old = pod(before);
    const next = cloneJson(old);
    edit(next.spec ?? {});
    return validatePodUpdate(next, old).map((error) => error.field);
  };

  test('images, deadlines and more tolerations may change', () => {
    expect(
      change((spec) =>
        Object.assign(spec, { containers: [{ ...(spec['containers'] as object[])[0], image: 'other' }] }),
      ),
    ).toEqual([]);
    expect(change((spec) => Object.assign(spec, { activeDeadlineSeconds: 5 }))).toEqual([]);
    expect(change((spec) => (spec['tolerations'] as object[]).push({ key: 'x', operator: 'Exists' }))).toEqual([]);
  });

  test('tolerationSeconds may change and be lifted, tolerations may not go', () => {
    const lift = (spec: Record<string, unknown>): void => {
      spec['tolerations'] = (spec['tolerations'] as Record<string, unknown>[]).map((item) =>
        without(item, 'tolerationSeconds'),
      );
    };
    expect(change(lift)).toEqual([]);
    expect(change((spec) => Object.assign(spec, { tolerations: [] }))).toEqual(['spec.tolerations']);
  });

  test('nothing else', () => {
    expect(change((spec) => Object.assign(spec, { nodeName: 'n' }))).toEqual(['spec']);
    expect(change((spec) => Object.assign(spec, { restartPolicy: 'Never' }))).toEqual(['spec']);
    expect(change((spec) => Object.assign(spec, { activeDeadlineSeconds: 9 }), { activeDeadlineSeconds: 5 })).toEqual([
      'spec.activeDeadlineSeconds',
    ]);
  });

  test('scheduling gates may be lifted, not added', () => {
    expect(
      change((spec) => Object.assign(spec, { schedulingGates: undefined }), { schedulingGates: [{ name: 'a' }] }),
    ).toEqual([]);
    expect(change((spec) => Object.assign(spec, { schedulingGates: [{ name: 'a' }] }))).toEqual([
      'spec.schedulingGates[0].name',
    ]);
  });
});
