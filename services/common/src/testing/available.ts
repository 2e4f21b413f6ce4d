// What tests need beyond npm: there, or skipped loudly, or (where SKERRY_REQUIRE names it, as in CI) a failure.
import { spawnSync } from 'node:child_process';

/**
 * True when the program can be run. Otherwise warns that its tests are skipped, with `hint` on how to get it, or throws when the
 * environment variable SKERRY_REQUIRE (names separated by spaces) names `requirement`.
 */
export function available(requirement: string, program: readonly [string, ...string[]], hint: string): boolean {
  const [command, ...args] = program;
  if (spawnSync(command, args, { stdio: 'ignore' }).error === undefined) return true;
  const message = `${command} is not installed (${hint})`;
  if ((process.env['SKERRY_REQUIRE'] ?? '').split(/[\s,]+/).includes(requirement))
    throw new Error(`${message}, and SKERRY_REQUIRE names ${requirement}`);
  process.stderr.write(`\n*** SKIPPED: tests with ${requirement}: ${message} ***\n\n`);
  return false;
}
