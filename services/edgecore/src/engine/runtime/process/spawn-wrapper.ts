// Starts a wrapper so that it outlives the engine: a session of its own, no inherited files, the spec on standard input.
import { type ChildProcess, spawn } from 'node:child_process';
import { messageOf, SkerryError } from '@skerry/common/errors';
import type { WrapperSpec } from './wrapper.js';

/**
 * Resolves when the command was started, or the wrapper ended without starting it (the container's files tell which).
 * `onExit` is called once, when the wrapper has ended. Throws `unavailable` when no process can be made.
 */
export function spawnWrapper(script: string, dir: string, spec: WrapperSpec, onExit: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const wrapper: ChildProcess = spawn(process.execPath, [script, dir], {
      cwd: '/',
      // Nothing of the engine's environment, and nothing of the workload's: NODE_OPTIONS would change the wrapper.
      env: {},
      detached: true,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    wrapper.once('error', (error) => {
      reject(new SkerryError('unavailable', `cannot start a process: ${messageOf(error)}`, { cause: error }));
    });
    wrapper.once('exit', () => {
      onExit();
      resolve();
    });
    // Closed by the wrapper once the command runs.
    wrapper.stdout?.once('end', () => resolve()).resume();
    // The wrapper may end before it has read everything; its files tell.
    wrapper.stdin?.on('error', () => {}).end(JSON.stringify(spec));
    wrapper.unref();
  });
}
