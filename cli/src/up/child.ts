// One child process of `skerry up`: started, restarted with back-off when it dies, stopped with a grace period.
// Invariants: never two at once; the child's standard input is a pipe of ours, so it ends when we do; its output goes to a log file.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Clock, Timer } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { PARENT_PIPE } from '@skerry/common/process';

export interface ChildSpec {
  readonly name: string;
  /** Arguments of node: script first. */
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Child {
  readonly name: string;
  readonly logFile: string;
  start(): void;
  /** Resolves when the process is gone; killed after `graceMs`. */
  stop(graceMs: number): Promise<void>;
  /** Of the running process. */
  pid(): number | undefined;
  restarts(): number;
  /** Ends in a row that were the process's own doing, each soon after its start. */
  failures(): number;
  /** How the last process ended, if one did. */
  lastExit(): string | undefined;
}

export interface ChildOptions {
  readonly clock: Clock;
  readonly onRestart: (name: string, exit: string, delayMs: number) => void;
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 5_000;
/** A child that lived this long starts over with the first delay. */
const HEALTHY_MS = 5_000;
/** More failures in a row, and waiting for it has no point. */
const MAX_FAILURES = 5;

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly process: ChildProcess; readonly sinceMs: number }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'stopped' };

export function createChild(spec: ChildSpec, options: ChildOptions): Child {
  const { clock } = options;
  let state: State = { kind: 'idle' };
  let delayMs = FIRST_DELAY_MS;
  let restarts = 0;
  let failures = 0;
  let lastExit: string | undefined;

  function start(): void {
    if (state.kind === 'running' || state.kind === 'stopped') return;
    const log = openSync(spec.logFile, 'a', 0o600);
    const process_ = spawn(process.execPath, [...spec.args], {
      stdio: ['pipe', log, log],
      env: { ...process.env, ...spec.env, [PARENT_PIPE]: '1' },
      // A process group of its own: Ctrl-C is for us, who then stop the children in order.
      detached: true,
    });
    closeSync(log);
    process_.stdin?.on('error', () => {});
    process_.once('error', (error) => onExit(process_, error.message, false));
    process_.once('exit', (code, signal) =>
      onExit(process_, signal ?? `exit code ${code}`, signal === 'SIGKILL' || signal === 'SIGTERM'),
    );
    state = { kind: 'running', process: process_, sinceMs: clock.monotonicMs() };
  }

  function onExit(ended: ChildProcess, exit: string, killedFromOutside: boolean): void {
    if (state.kind !== 'running' || state.process !== ended) return;
    lastExit = exit;
    if (killedFromOutside || clock.monotonicMs() - state.sinceMs > HEALTHY_MS) {
      delayMs = FIRST_DELAY_MS;
      failures = 0;
    } else {
      failures += 1;
    }
    state = { kind: 'waiting', timer: clock.after(delayMs, restart) };
    options.onRestart(spec.name, exit, delayMs);
    delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
  }

  function restart(): void {
    restarts += 1;
    start();
  }

  async function stop(graceMs: number): Promise<void> {
    const before = state;
    state = { kind: 'stopped' };
    if (before.kind === 'waiting') before.timer.cancel();
    if (before.kind !== 'running') return;
    const child = before.process;
    const gone = new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) resolve();
      else child.once('exit', () => resolve());
    });
    child.kill('SIGTERM');
    const timer = clock.after(graceMs, () => child.kill('SIGKILL'));
    await gone;
    timer.cancel();
  }

  return {
    name: spec.name,
    logFile: spec.logFile,
    start,
    stop,
    pid: () => (state.kind === 'running' ? state.process.pid : undefined),
    restarts: () => restarts,
    failures: () => failures,
    lastExit: () => lastExit,
  };
}

/** Throws when a child keeps dying by itself instead of coming up: its log says why. */
export function checkAlive(child: Child): void {
  if (child.failures() <= MAX_FAILURES) return;
  throw new SkerryError('unavailable', `${child.name} does not stay up (${child.lastExit()}): see ${child.logFile}`);
}
