// `npm test`: every project of jest, or what is named: npm test -- unit, npm test -- e2e --testPathPatterns=quickstart
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const PROJECTS = ['unit', 'int', 'e2e'];
const args = process.argv.slice(2);
const named = args.filter((arg) => PROJECTS.includes(arg));
const rest = args.filter((arg) => !PROJECTS.includes(arg));
const projects = named.length > 0 ? named : PROJECTS;

for (const project of projects) {
  process.stderr.write(`skerry: testing ${project}\n`);
  const { status } = spawnSync(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--no-warnings',
      join(root, 'node_modules/jest/bin/jest.js'),
      '--selectProjects',
      project,
      // Most of them wait rather than work: two at a time even on a small machine.
      '--maxWorkers=2',
      ...rest,
    ],
    { cwd: root, stdio: 'inherit' },
  );
  if (status !== 0) process.exit(status ?? 1);
}
