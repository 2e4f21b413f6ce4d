// Set-up for every npm script: plain JavaScript, so that it runs before anything is installed.
//   node tools/setup.mjs          installs the dependencies when the lock file changed
//   node tools/setup.mjs --build  then compiles what changed
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const stampFile = join(root, 'node_modules', '.skerry-setup');
const instanceFile = join(root, '.setup', 'instance.pid');

checkNode();
install();
if (process.argv.includes('--build')) build();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  fail(`Node.js ${process.versions.node} is too old: Skerry needs 20.19 or newer (https://nodejs.org)`);
}

function install() {
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.versions.modules)
    .digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  refuseUnderRunningInstance();
  step('installing dependencies (npm ci)', () =>
    run('npm', ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']),
  );
  writeFileSync(stampFile, stamp);
}

function build() {
  // TypeScript's own entry point, without npx: a build that has nothing to do takes half a second.
  step('building', () => run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--build']));
  step('bundling edgecore', () => run(process.execPath, [join(root, 'services/edgecore/bundle.mjs')]));
}

/** `npm ci` deletes node_modules first: that would pull the code from under a running `npm start`. */
function refuseUnderRunningInstance() {
  mkdirSync(join(root, '.setup'), { recursive: true });
  if (!existsSync(instanceFile)) return;
  const pid = Number(readFileSync(instanceFile, 'utf8'));
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return;
  fail(`the dependencies changed, but an instance started from this folder is running (pid ${pid}): stop it first`);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function step(what, work) {
  const startedMs = Date.now();
  process.stderr.write(`skerry: ${what} ...`);
  const output = work();
  process.stderr.write(` ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`);
  if (output.trim() !== '' && process.env['SKERRY_VERBOSE']) process.stderr.write(output);
}

function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: false,
  });
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) fail(`${command} ${args.join(' ')} failed:\n${result.stdout}${result.stderr}`);
  return result.stdout + result.stderr;
}

function fail(message) {
  process.stderr.write(`\nskerry: ${message}\n`);
  process.exit(1);
}
