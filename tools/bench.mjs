// `npm run -s bench -- NAME --json`: builds, then runs one bench; the last line on standard output is its JSON.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
for (const args of [
  [join(root, 'tools/setup.mjs'), '--build'],
  ['--expose-gc', join(root, 'bench/dist/main.js'), ...process.argv.slice(2)],
]) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
