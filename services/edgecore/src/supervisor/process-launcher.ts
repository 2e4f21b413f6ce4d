// A sidecar as a process of its own. Its standard input is a pipe that nothing is written to: it closes when edgecore ends, however that
// happens, and then the sidecar ends too. Its output goes to edgecore's log line by line, and its last line explains an exit.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { PARENT_PIPE } from '@skerry/common/process';
import type { Instance, Launcher } from './launcher.js';
import { outliveOldInstance } from './launcher.js';
import { createLineSplitter } from './lines.js';

export interface ProcessLauncherOptions<Name extends string> {
  /** Program and first arguments; the sidecar's own follow. */
  readonly command: readonly string[];
  /** Arguments after `sidecar <name>`. */
  readonly argsOf: (name: Name) => readonly string[];
  readonly lockFileOf: (name: Name) => string;
  /** Takes each line that a sidecar writes, without its end. */
  readonly writeLine: (line: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Longest part of a last line that is shown as the reason of an exit. */
const MAX_REASON = 300;

export function createProcessLauncher<Name extends string>(options: ProcessLauncherOptions<Name>): Launcher<Name> {
  const { command, argsOf, lockFileOf, clock, logger } = options;
  return async (name, signal) => {
    await outliveOldInstance({ name, lockFile: lockFileOf(name), clock, logger, signal });
    const [program = process.execPath, ...first] = command;
    const child = spawn(program, [...first, 'sidecar', name, ...argsOf(name)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, [PARENT_PIPE]: '1' },
      // A group of its own: Ctrl-C at a terminal is for edgecore, which then stops its sidecars in order.
      detached: true,
    });
    const lastLine = passThrough(child, options.writeLine);
    await spawned(child, program);
    return instanceOf(child, lastLine, clock);
  };
}

function spawned(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) =>
      reject(new SkerryError('unavailable', `cannot start ${program}: ${error.message}`, { cause: error })),
    );
  });
}

function instanceOf(child: ChildProcess, lastLine: () => string, clock: Clock): Instance {
  // Writing to a process that is gone is no failure of ours.
  child.stdin?.on('error', () => {});
  const exited = new Promise<string>((resolve) => {
    // 'close' comes after the last line was read.
    child.once('close', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      resolve(lastLine() === '' || code === 0 ? how : `${how}: ${lastLine()}`);
    });
  });
  const kill = (): void => void child.kill('SIGKILL');
  return {
    pid: child.pid ?? 0,
    exited,
    terminate(graceMs, deadline) {
      child.kill('SIGTERM');
      const timer = clock.after(graceMs, kill);
      deadline?.addEventListener('abort', kill, { once: true });
      if (deadline?.aborted) kill();
      void exited.then(() => {
        timer.cancel();
        deadline?.removeEventListener('abort', kill);
      });
    },
  };
}

/** Returns what gives the last line that is worth showing. */
function passThrough(child: ChildProcess, writeLine: (line: string) => void): () => string {
  let last = '';
  for (const stream of [child.stdout, child.stderr]) {
    const splitter = createLineSplitter((line) => {
      writeLine(line);
      if (line.trim() !== '') last = messageOfLine(line);
    });
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => splitter.push(text));
    stream?.on('end', () => splitter.end());
  }
  return () => last;
}

/** The text of a structured log line, or the line. */
function messageOfLine(line: string): string {
  try {
    const { message, error } = JSON.parse(line) as { message?: unknown; error?: unknown };
    const texts = [message, error].filter((text) => typeof text === 'string');
    return (texts.length > 0 ? texts.join(': ') : line).slice(0, MAX_REASON);
  } catch {
    return line.slice(0, MAX_REASON);
  }
}
