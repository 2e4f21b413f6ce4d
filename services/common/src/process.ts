// What every main.ts does around an app: flags, signals, exit codes. The only module besides main.ts files that touches process.
// Invariants: the first SIGTERM/SIGINT stops in order, the second one exits at once; a child of `skerry up` stops when its parent is gone.
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { systemClock } from './clock.js';
import { messageOf, SkerryError } from './errors.js';
import type { Lifecycle } from './lifecycle.js';
import { createLogger, isLogLevel, type Logger } from './logger.js';

type FlagSpecs = NonNullable<ParseArgsConfig['options']>;
type FlagValues<T extends FlagSpecs> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T; strict: true; allowPositionals: false }>
>['values'];

/** Parses `--name value` flags strictly; an unknown or malformed flag is an `invalid_argument` error that names it. */
export function parseFlags<T extends FlagSpecs>(argv: readonly string[], options: T): FlagValues<T> {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new SkerryError(
      'invalid_argument',
      `${messageOf(error)}; known flags: ${Object.keys(options)
        .map((f) => `--${f}`)
        .join(' ')}`,
    );
  }
}

/** The value of a flag that has to be given. */
export function requireFlag(value: string | undefined, name: string, what: string): string {
  if (value === undefined || value === '')
    throw new SkerryError('invalid_argument', `--${name} is missing: give ${what}`);
  return value;
}

/** The value of a flag that takes a positive number. */
export function positiveFlag(text: string, name: string): number {
  const value = Number(text);
  if (!(Number.isFinite(value) && value > 0))
    throw new SkerryError('invalid_argument', `--${name} "${text}" is not a positive number`);
  return value;
}

/** A logger on standard error. */
export function processLogger(component: string, level = 'info'): Logger {
  if (!isLogLevel(level))
    throw new SkerryError('invalid_argument', `log level "${level}" is none of debug, info, warn, error`);
  const clock = systemClock();
  return createLogger({
    level,
    nowMs: clock.nowMs,
    write: (line) => process.stderr.write(`${line}\n`),
    fields: { component },
  });
}

/** Set for a child whose standard input is a pipe from its parent: the pipe's end means that the parent is gone, kill -9 included. */
export const PARENT_PIPE = 'SKERRY_PARENT_PIPE';

/** Runs an app until a signal asks it to stop. `build` gets the command line without node and script. */
export async function runMain(
  build: (argv: readonly string[]) => Promise<{ app: Lifecycle; logger: Logger }>,
): Promise<void> {
  try {
    const { app, logger } = await build(process.argv.slice(2));
    let asked = 0;
    const onSignal = (signal: NodeJS.Signals): void => {
      asked += 1;
      if (asked > 1) process.exit(130);
      logger.info('stopping', { signal });
      app.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          logger.error('stopped with errors', { error: messageOf(error) });
          process.exit(1);
        },
      );
    };
    if (process.env[PARENT_PIPE] === '1') {
      process.stdin.on('end', () => onSignal('SIGTERM'));
      process.stdin.on('error', () => onSignal('SIGTERM'));
      process.stdin.resume();
    }
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    await app.start();
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(1);
  }
}
