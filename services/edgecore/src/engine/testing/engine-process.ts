// Starts testing/engine-main.ts as a process of its own, built into one file first.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { build } from 'esbuild';

export async function buildEngineMain(dir: string): Promise<string> {
  const outfile = join(dir, 'engine-main.cjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'engine-main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    conditions: ['source'],
    logLevel: 'error',
  });
  return outfile;
}

export interface EngineProcess {
  kill(signal: NodeJS.Signals): Promise<void>;
}

export function startEngineProcess(script: string, paths: Readonly<Record<string, string>>): EngineProcess {
  const child: ChildProcess = spawn(process.execPath, [script, JSON.stringify(paths)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  return {
    async kill(signal) {
      child.kill(signal);
      await exited;
    },
  };
}
