// The first command of a newcomer, and what must be left of it afterwards: nothing.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { withTempDir } from '../services/common/src/testing/temp-dir.js';
import { processesOf, signalGroup, startInstance, succeeded } from './support/instance.js';

describe('skerry up', () => {
  test(
    '--once shows every step, exits 0 and leaves no process',
    () =>
      withTempDir(async (dir) => {
        const instance = startInstance(['--once', '--state', dir, '--cut-seconds', '3']);
        await succeeded(instance);
        for (const step of [
          'Pod scheduled',
          'Pod delivered',
          'Pod Running',
          'page fetched',
          'obeyed by the device',
          'converged in',
          '0 lost',
        ])
          expect(instance.output()).toContain(step);
        expect(await processesOf(dir)).toEqual([]);
      }),
    120_000,
  );

  test(
    'stops cleanly on SIGINT and on SIGHUP, the workload with it, and comes up again from the same folder',
    () =>
      withTempDir(async (dir) => {
        for (const signal of ['SIGINT', 'SIGHUP'] as const) {
          const instance = startInstance(['--state', dir, '--cut-seconds', '1']);
          await instance.printed(`export KUBECONFIG=${join(dir, 'kubeconfig')}`);
          signalGroup(instance, signal);
          await succeeded(instance);
          expect(await processesOf(dir)).toEqual([]);
        }
        expect(existsSync(join(dir, 'kubeconfig'))).toBe(true);
      }),
    240_000,
  );

  test(
    'when it is killed itself, its children stop within 5 s',
    () =>
      withTempDir(async (dir) => {
        const instance = startInstance(['--state', dir, '--cut-seconds', '1']);
        await instance.printed('becomes Ready');
        instance.process.kill('SIGKILL');
        await instance.ended;
        await new Promise((resolve) => setTimeout(resolve, 5_000));
        expect(await processesOf(dir)).toEqual([]);
      }),
    120_000,
  );

  test(
    'a step that fails makes it exit with the reason',
    () =>
      withTempDir(async (dir) => {
        const first = startInstance(['--once', '--state', dir, '--kubeconfig', join(dir, 'missing')]);
        expect(await first.ended).toBe(1);
        expect(first.output()).toContain(`kubeconfig ${join(dir, 'missing')} cannot be read`);
        const second = startInstance(['--once', '--cut-mode', 'burn']);
        expect(await second.ended).toBe(1);
        expect(second.output()).toContain('--cut-mode is "burn": want cut or silent');
      }),
    120_000,
  );
});
