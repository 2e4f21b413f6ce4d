// The engine with the process runtime, as edgecore makes it: its folders let the workloads' user through, and only where they must.
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { layoutOf } from './config/layout.js';
import { parseSidecarOptions } from './config/options.js';
import { privateFolder } from './disk/files.js';
import { createSidecar } from './sidecars.js';

const asRoot = process.getuid?.() === 0 ? test : test.skip;

asRoot('a user for workloads can pass through the state folder, also one that was private before', () =>
  withTempDir(async (above) => {
    await chmod(above, 0o711);
    const state = join(above, 'state');
    const layout = layoutOf(state);
    for (const dir of [state, layout.pki]) await privateFolder(dir);
    const flags = {
      node: 'edge-1',
      'edgecore-socket': layout.edgecoreSocket,
      socket: layout.socketOf('engine'),
      state,
    };
    const argv = Object.entries({ ...flags, runtime: 'process', 'process-user': '65534:65534' });
    const options = parseSidecarOptions(
      'engine',
      argv.flatMap(([flag, value]) => [`--${flag}`, value]),
    );
    const engine = await createSidecar('engine', options, systemClock(), nullLogger());
    await engine.start();
    await engine.stop(AbortSignal.timeout(5_000));
    const modeOf = async (dir: string): Promise<number> => (await stat(dir)).mode & 0o777;
    for (const dir of [state, join(state, 'engine', 'pods'), join(state, 'engine', 'process')])
      expect(await modeOf(dir)).toBe(0o711);
    for (const dir of [layout.pki, join(state, 'run')]) expect(await modeOf(dir)).toBe(0o700);
  }),
);
