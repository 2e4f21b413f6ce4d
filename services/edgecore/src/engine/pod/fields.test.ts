import { describe, expect, test } from '@jest/globals';
import * as model from '@kubernetes/client-node';
import type { RuntimeProfile } from '../runtime/runtime.js';
import { containerDef, podOf } from '../testing/pods.js';
import { podViolations, refusalOf } from './admit.js';
import { FIELD_TABLES } from './fields.js';
import type { PodSpec } from './types.js';

const PROCESS: RuntimeProfile = {
  name: 'process',
  version: '1',
  sharesHost: true,
  runsImages: false,
  runtimeClasses: ['process'],
  user: { uid: 1000, gid: 1000 },
};
const ISOLATED: RuntimeProfile = {
  name: 'fake',
  version: '1',
  sharesHost: false,
  runsImages: true,
  runtimeClasses: ['fake'],
};

const command = ['node'];
const ok: Partial<PodSpec> = { hostNetwork: true, containers: [containerDef({ command })] };
const paths = (spec: Partial<PodSpec>, runtime: RuntimeProfile): string[] =>
  podViolations(podOf('u1', { ...ok, ...spec }), runtime).map(({ path }) => path);
const inContainer = (more: object, runtime = PROCESS): string[] =>
  paths({ containers: [containerDef({ command, ...more })] }, runtime);

describe('field tables', () => {
  // Attribute lists of the client library: what the API server knows.
  const models = model as unknown as Record<string, { getAttributeTypeMap?(): { baseName: string }[] }>;
  test.each(Object.entries(FIELD_TABLES))(
    '%s names every field of the Kubernetes model, and no other',
    (type, table) => {
      const fields = models[`V1${type}`]?.getAttributeTypeMap?.().map(({ baseName }) => baseName);
      expect(Object.keys(table).sort()).toEqual(fields?.sort());
    },
  );
});

describe('admission', () => {
  test('an ordinary Pod as the API server completes it passes', () => {
    const spec: Partial<PodSpec> = {
      hostNetwork: true,
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      schedulerName: 'default-scheduler',
      securityContext: {},
      serviceAccountName: 'default',
      serviceAccount: 'default',
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
      priority: 0,
      terminationGracePeriodSeconds: 30,
      tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' }],
      nodeName: 'edge-1',
      containers: [
        containerDef({
          command,
          resources: { requests: { cpu: '10m' } },
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'IfNotPresent',
          ports: [{ containerPort: 80, hostPort: 80, protocol: 'TCP' }],
        }),
      ],
    };
    expect(paths(spec, PROCESS)).toEqual([]);
    expect(paths(spec, ISOLATED)).toEqual([]);
  });

  test.each<[string, object]>([
    ['livenessProbe', { livenessProbe: { exec: { command: ['true'] } } }],
    ['readinessProbe', { readinessProbe: {} }],
    ['lifecycle', { lifecycle: { preStop: { sleep: { seconds: 1 } } } }],
    ['tty', { tty: true }],
    ['restartPolicy', { restartPolicy: 'Always' }],
    ['terminationMessagePolicy', { terminationMessagePolicy: 'FallbackToLogsOnError' }],
  ])('%s is refused everywhere', (field, more) => {
    const expected = field === 'readinessProbe' ? [] : [`spec.containers[0].${field}`];
    expect(inContainer(more)).toEqual(expected);
    expect(inContainer(more, ISOLATED)).toEqual(expected);
  });

  test.each<[string, object]>([
    ['resources.limits', { resources: { limits: { memory: '1Gi' } } }],
    ['securityContext.privileged', { securityContext: { privileged: true } }],
    ['securityContext.readOnlyRootFilesystem', { securityContext: { readOnlyRootFilesystem: true } }],
    ['securityContext.capabilities', { securityContext: { capabilities: { drop: ['ALL'] } } }],
    ['securityContext.allowPrivilegeEscalation', { securityContext: { allowPrivilegeEscalation: false } }],
    ['securityContext.runAsUser', { securityContext: { runAsUser: 0 } }],
    ['securityContext.seccompProfile', { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } }],
  ])('%s is refused where it cannot be enforced', (field, more) => {
    expect(inContainer(more)).toEqual([`spec.containers[0].${field}`]);
    expect(inContainer(more, ISOLATED)).toEqual([]);
  });

  test('the configured user may be asked for', () =>
    expect(inContainer({ securityContext: { runAsUser: 1000, runAsGroup: 1000, runAsNonRoot: true } })).toEqual([]));

  test('a field that Kubernetes adds later is refused', () =>
    expect(inContainer({ quantumMode: true })).toEqual(['spec.containers[0].quantumMode']));

  test('the host’s network has to be said on a runtime that shares the host', () => {
    expect(paths({ hostNetwork: false }, PROCESS)).toEqual(['spec.hostNetwork']);
    expect(paths({ hostNetwork: false }, ISOLATED)).toEqual([]);
  });

  test('a command has to be given where no image is run', () => {
    expect(paths({ containers: [containerDef()] }, PROCESS)).toEqual(['spec.containers[0].command']);
    expect(paths({ containers: [containerDef({ args: ['node'] })] }, PROCESS)).toEqual([]);
    expect(paths({ containers: [containerDef()] }, ISOLATED)).toEqual([]);
  });

  test('another runtime class is refused', () => {
    expect(paths({ runtimeClassName: 'gvisor' }, PROCESS)).toEqual(['spec.runtimeClassName']);
    expect(paths({ runtimeClassName: 'process' }, PROCESS)).toEqual([]);
  });

  test('volume types, and the hint about the token', () => {
    const volumes = [
      { name: 'a', persistentVolumeClaim: { claimName: 'x' } },
      { name: 'b', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } },
      { name: 'c', emptyDir: { medium: 'Memory' } },
      { name: 'd', emptyDir: {} },
    ];
    const expected = ['persistentVolumeClaim', 'projected', 'emptyDir.medium'];
    expect(paths({ volumes }, PROCESS)).toEqual(expected.map((field, i) => `spec.volumes[${i}].${field}`));
    expect(refusalOf(podOf('u1', { ...ok, volumes }), PROCESS)?.message).toContain(
      'automountServiceAccountToken: false',
    );
  });

  test('mounts that links cannot make', () => {
    const volumes = [{ name: 'v', emptyDir: {} }];
    const mounted = (mounts: { name: string; mountPath: string; readOnly?: boolean; subPath?: string }[]) =>
      paths({ volumes, containers: [containerDef({ command, volumeMounts: mounts })] }, PROCESS);
    const at = (i: number, field: string) => `spec.containers[0].volumeMounts[${i}].${field}`;
    expect(
      mounted([
        { name: 'v', mountPath: '/a' },
        { name: 'v', mountPath: '/b' },
      ]),
    ).toEqual([]);
    expect(
      mounted([
        { name: 'v', mountPath: '/a' },
        { name: 'v', mountPath: '/a/b' },
      ]),
    ).toEqual([at(1, 'mountPath')]);
    expect(mounted([{ name: 'v', mountPath: '/' }])).toEqual([at(0, 'mountPath')]);
    expect(mounted([{ name: 'v', mountPath: '/a', readOnly: true }])).toEqual([at(0, 'readOnly')]);
    expect(mounted([{ name: 'v', mountPath: '/a', subPath: 'x' }])).toEqual([at(0, 'subPath')]);
    expect(mounted([{ name: 'w', mountPath: '/a' }])).toEqual([at(0, 'name')]);
  });

  test('names that are no DNS labels, or double', () => {
    const containers = [containerDef({ command }), containerDef({ command }), containerDef({ command, name: '../x' })];
    expect(paths({ containers }, PROCESS)).toEqual(['spec.containers[1].name', 'spec.containers[2].name']);
  });

  test('environment', () => {
    const env = [
      { name: 'A', valueFrom: { fieldRef: { fieldPath: "metadata.labels['x']" } } },
      { name: 'B', valueFrom: { fieldRef: { fieldPath: 'spec.containers' } } },
      { name: 'C', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
    ];
    expect(inContainer({ env })).toEqual([
      'spec.containers[0].env[1].valueFrom.fieldRef.fieldPath',
      'spec.containers[0].env[2].valueFrom.resourceFieldRef',
    ]);
  });

  test('a long list is cut', () => {
    const message = refusalOf(
      podOf('u1', {
        containers: [
          containerDef({
            tty: true,
            stdin: true,
            stdinOnce: true,
            lifecycle: { a: 1 } as object,
            livenessProbe: { a: 1 } as object,
            startupProbe: { a: 1 } as object,
          }),
        ],
      }),
      PROCESS,
    )?.message;
    expect(message).toMatch(/; and 3 more$/);
  });
});
