// Stock kubectl against devcluster, as a user types it. Without kubectl it is skipped, loudly; SKERRY_REQUIRE=kubectl makes that a failure.
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { available } from '@skerry/common/testing/available';
import { createDevcluster, type Devcluster } from './devcluster.js';
import { type ApiClient, createApiClient, nodeManifest } from './testing/api-client.js';

const found = available('kubectl', ['kubectl', 'version', '--client'], 'https://kubernetes.io/docs/tasks/tools');

const MANIFEST = `
apiVersion: v1
kind: ConfigMap
metadata: {name: page}
data: {index.html: hello}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: edge-1
  containers:
  - name: web
    image: busybox:1
    env: [{name: A, value: "1"}]
    volumeMounts: [{name: page, mountPath: /www}]
  volumes: [{name: page, configMap: {name: page}}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: lamps.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: lamps, kind: Lamp, shortNames: [lp]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Lumen, type: integer, jsonPath: .spec.lumen}]
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {lumen: {type: integer}}}}
`;

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

(found ? describe : describe.skip)('kubectl', () => {
  let dir: string;
  let cluster: Devcluster;
  let api: ApiClient;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'sk-'));
    cluster = createDevcluster({ stateDir: dir });
    await cluster.start();
    api = createApiClient(cluster);
    await api.post('/api/v1/nodes', nodeManifest('edge-1'));
  });

  afterAll(async () => {
    await api.close();
    await cluster.stop(new AbortController().signal);
    await rm(dir, { recursive: true });
  });

  function kubectl(args: readonly string[], input?: string): Promise<Result> {
    return new Promise((resolve) => {
      const env = { ...process.env, KUBECONFIG: cluster.kubeconfigPath, HOME: dir };
      const child = execFile('kubectl', [...args], { env, timeout: 60_000 }, (error, out, err) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, out, err });
      });
      child.stdin?.end(input ?? '');
    });
  }

  /** Runs what has to succeed; returns what it printed. */
  async function ok(line: string, input?: string): Promise<string> {
    const { code, out, err } = await kubectl(line.split(' '), input);
    if (code !== 0) throw new Error(`kubectl ${line}: ${err}`);
    return out;
  }

  test('apply, apply again, change, diff', async () => {
    expect(await ok('apply -f -', MANIFEST)).toContain('pod/web created');
    expect(await ok('apply -f -', MANIFEST)).not.toMatch(/created|configured/);
    const changed = MANIFEST.replace('hello', 'bye').replace('busybox:1', 'busybox:2');
    expect((await kubectl(['diff', '-f', '-'], changed)).out).toContain('+    image: busybox:2');
    expect(await ok('apply -f -', changed)).toMatch(/configmap\/page configured[\s\S]*pod\/web configured/);
    const immutable = await kubectl(['apply', '-f', '-'], changed.replace('nodeName: edge-1', 'nodeName: edge-2'));
    expect(immutable.err).toContain('pod updates may not change fields other than');
    const unknown = await kubectl(['apply', '-f', '-'], changed.replace('image:', 'imagee: x\n    image:'));
    expect(unknown.err).toContain('unknown field "spec.containers[0].imagee"');
  });

  test('get, describe, explain, api-resources', async () => {
    expect(await ok('get pods -o wide')).toMatch(/NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/);
    expect(await ok('get pods web')).toMatch(/web +0\/1 +Pending +0/);
    expect(await ok('get po,cm,node -A')).toContain('node/edge-1');
    expect(await ok('get pods -l app=web -o name')).toBe('pod/web\n');
    expect(await ok('get pods -o jsonpath={.items[0].spec.nodeName}')).toBe('edge-1');
    expect(await ok('describe pod web')).toContain('busybox:2');
    expect(await ok('describe node edge-1')).toMatch(/Capacity:\n +cpu: +2/);
    expect(await ok('explain pod.spec.containers.image')).toContain('FIELD: image <string>');
    expect(await ok('api-resources')).toMatch(/lamps +lp +example.com\/v1 +true +Lamp/);
    expect(await ok('get ns default -o yaml')).toContain('phase: Active');
  });

  test('custom resources: wait, apply, get, patch, delete', async () => {
    expect(await ok('wait --for=condition=Established crd/lamps.example.com')).toContain('condition met');
    const lamp = 'apiVersion: example.com/v1\nkind: Lamp\nmetadata: {name: l}\nspec: {lumen: 5}\n';
    expect(await ok('apply -f -', lamp)).toContain('created');
    expect(await ok('apply -f -', lamp.replace('5', '6'))).toContain('configured');
    expect(await ok('get lp')).toMatch(/NAME +LUMEN\nl +6/);
    expect(await ok('patch lp l --type=merge -p {"spec":{"lumen":7}}')).toContain('patched');
    expect((await kubectl(['patch', 'lp', 'l', '--type=merge', '-p', '{"spec":{"lumen":"x"}}'])).err).toContain(
      'spec.lumen: Invalid value: "x"',
    );
    expect(await ok('delete lp l')).toContain('deleted');
  });

  test('create, label, annotate, edit by patch, delete and wait', async () => {
    await ok('create namespace work');
    expect(await ok('create configmap c --from-literal=a=b -n work')).toContain('created');
    expect(await ok('create secret generic s --from-literal=a=b -n work')).toContain('created');
    expect((await kubectl(['create', 'configmap', 'c', '-n', 'work'])).err).toContain('already exists');
    expect(await ok('label configmap c x=y -n work')).toContain('labeled');
    expect(await ok('annotate configmap c x=y -n work')).toContain('annotated');
    expect(await ok('get configmap -n work -l x=y -o jsonpath={.items[0].data.a}')).toBe('b');
    expect(await ok('label node edge-1 zone=a')).toContain('labeled');
    expect(await ok('taint node edge-1 x=y:NoSchedule')).toContain('tainted');
    expect(await ok('cordon edge-1')).toContain('cordoned');
    expect(await ok('get node edge-1')).toContain('SchedulingDisabled');
    expect(await ok('uncordon edge-1')).toContain('uncordoned');
    expect((await ok('create token default -n work')).split('.')).toHaveLength(3);
    expect(await ok('run one --image=busybox -n work')).toContain('created');
    expect(await ok('delete pod one -n work')).toContain('deleted');
    expect(await ok('delete namespace work')).toContain('deleted');
    expect((await kubectl(['get', 'namespace', 'work'])).err).toContain('not found');
    expect(await ok('delete pod web --force')).toContain('force deleted');
    expect(await ok('wait --for=delete pod/web --timeout=30s')).toBe('');
  });

  test('what is not there says so', async () => {
    const path = join(dir, 'deployment.yaml');
    await writeFile(path, 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {}\n');
    expect((await kubectl(['apply', '-f', path, '--validate=false'])).err).toContain(
      'no matches for kind "Deployment"',
    );
    expect((await kubectl(['get', 'deployments'])).err).toContain("the server doesn't have a resource type");
    expect((await kubectl(['apply', '--server-side', '-f', '-'], MANIFEST)).err).toContain(
      'server-side apply is not supported',
    );
    expect((await kubectl(['get', 'pod', 'none'])).err).toContain('pods "none" not found');
  });
});
