// One `skerry up` as a user starts it, with its state in a folder of the test's, and its processes as /proc shows them.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const main = join(import.meta.dirname, '../../cli/dist/main.js');

export interface Instance {
  readonly process: ChildProcess;
  /** All that it printed so far. */
  output(): string;
  /** Resolves when a line that holds `text` was printed; rejects with the output when the process ends before. */
  printed(text: string): Promise<void>;
  /** Exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
  /** Called with every complete line. */
  onLine(listener: (line: string) => void): void;
}

/** On ports that nobody else has: several run at a time. */
export function startInstance(args: readonly string[]): Instance {
  const ports = ['--mqtt-port', '0', '--page-port', '0'];
  const child = spawn(process.execPath, [main, 'up', ...ports, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The leader of a process group, as a shell makes it.
    detached: true,
  });
  const listeners: ((line: string) => void)[] = [];
  let output = '';
  let rest = '';
  const take = (chunk: Buffer): void => {
    output += chunk.toString('utf8');
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) for (const listener of listeners) listener(line);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const ended = new Promise<number | string>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
  );
  return {
    process: child,
    output: () => output,
    printed: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (output.includes(text)) resolve();
        };
        listeners.push(look);
        look();
        ended.then(
          () => reject(new Error(`ended before "${text}" was printed:\n${output}`)),
          () => {},
        );
      }),
    ended,
    onLine: (listener) => void listeners.push(listener),
  };
}

/** Waits for the end and throws with all that was printed unless it was a success. */
export async function succeeded(instance: Instance): Promise<void> {
  const code = await instance.ended;
  if (code !== 0) throw new Error(`skerry up ended with ${code}:\n${instance.output()}`);
}

export interface ProcessInfo {
  readonly pid: number;
  readonly command: readonly string[];
}

/** Processes of which an argument, the working folder or the environment's HOME names the folder. */
export async function processesOf(dir: string): Promise<ProcessInfo[]> {
  const found: ProcessInfo[] = [];
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (command.some((argument) => argument.includes(dir))) found.push({ pid, command });
  }
  return found;
}

/** Those that run `program`: a service by its folder, a sidecar by its name, the thermostat by its script. */
export async function pidsOf(dir: string, program: string): Promise<number[]> {
  const matches = (command: readonly string[]): boolean => {
    const sidecar = command.indexOf('sidecar');
    if (sidecar >= 0) return command[sidecar + 1] === program;
    return (
      command.some((argument) => argument.endsWith('.js') || argument.endsWith('.mjs')) &&
      (command[1] ?? '').includes(program)
    );
  };
  return (await processesOf(dir)).filter(({ command }) => matches(command)).map(({ pid }) => pid);
}

/** A signal as a terminal sends it: to the whole foreground process group. */
export function signalGroup(instance: Instance, signal: 'SIGINT' | 'SIGHUP'): void {
  if (instance.process.pid !== undefined) process.kill(-instance.process.pid, signal);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
