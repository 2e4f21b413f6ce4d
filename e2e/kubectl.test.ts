// The example files in the hands of a stock kubectl: apply, get, describe, label, wait, edit and delete as on Kubernetes, with a real edge
// node behind them.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { available } from '../services/common/src/testing/available.js';
import { withTempDir } from '../services/common/src/testing/temp-dir.js';
import { startInstance, succeeded } from './support/instance.js';

const run = promisify(execFile);
const examples = join(import.meta.dirname, '../k8s/examples/quickstart');
const found = available('kubectl', ['kubectl', 'version', '--client'], 'https://kubernetes.io/docs/tasks/tools');

(found ? describe : describe.skip)('kubectl and the example', () => {
  test(
    'apply, wait, get, describe, patch, delete and apply again',
    () =>
      withTempDir(async (dir) => {
        const instance = startInstance(['--state', dir, '--cut-seconds', '1']);
        await instance.printed('export KUBECONFIG');
        const kubectl = async (...args: string[]): Promise<string> => {
          const { stdout } = await run('kubectl', ['--kubeconfig', join(dir, 'kubeconfig'), ...args]);
          return stdout;
        };
        expect(await kubectl('get', 'pods', '-o', 'wide')).toMatch(/page\s+1\/1\s+Running\s+1 \(\S+ ago\).*edge-1/);
        expect(await kubectl('get', 'nodes')).toMatch(/edge-1\s+Ready\s+edge/);
        expect(await kubectl('get', 'devices,devicestatuses')).toContain('device.devices.kubeedge.io/thermostat');
        const described = await kubectl('describe', 'pod', 'page');
        for (const part of ['Node:', 'Scheduled', 'Started container server']) expect(described).toContain(part);
        expect(await kubectl('api-resources')).toContain('devices.kubeedge.io/v1beta1');

        await kubectl('label', 'pod', 'page', 'tier=edge');
        expect(await kubectl('get', 'pods', '-l', 'tier=edge', '-o', 'name')).toBe('pod/page\n');
        await kubectl('patch', 'configmap', 'page', '--type', 'merge', '-p', '{"data":{"message":"patched"}}');
        expect(await kubectl('get', 'configmap', 'page', '-o', 'jsonpath={.data.message}')).toBe('patched');

        // Deleted to the end by the node, then made anew from the file, on a port that is free.
        await kubectl('delete', 'pod', 'page', '--timeout=60s');
        const port = await kubectl('get', 'configmap', 'page', '-o', 'jsonpath={.data.port}');
        const manifest = join(dir, 'configmap.yaml');
        await writeFile(
          manifest,
          (await readFile(join(examples, 'configmap.yaml'), 'utf8')).replace('"8080"', `"${port}"`),
        );
        await kubectl('apply', '-f', examples);
        await kubectl('apply', '-f', manifest);
        await kubectl('delete', 'pod', 'page', '--wait=false');
        await kubectl('wait', '--for=delete', 'pod/page', '--timeout=60s');
        await kubectl('create', '-f', join(examples, 'pod.yaml'));
        await kubectl('wait', '--for=condition=Ready', 'pod/page', '--timeout=60s');
        expect(await kubectl('get', 'pods')).toMatch(/page\s+1\/1\s+Running\s+0 /);

        instance.process.kill('SIGINT');
        await succeeded(instance);
      }),
    180_000,
  );
});
