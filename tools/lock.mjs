// Completes package-lock.json with the optional binaries of other platforms. A registry mirror may not list them all, npm then leaves
// them out of the lock, and `npm ci` refuses a lock that lacks them. Each gets its version and platform, so that npm skips it elsewhere.
//   node tools/lock.mjs          completes the lock
//   node tools/lock.mjs --check  exits 1 when something is missing
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const file = join(import.meta.dirname, '..', 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));

const OS = ['darwin', 'linux', 'win32', 'android', 'freebsd', 'openbsd', 'netbsd', 'sunos', 'aix', 'openharmony'];
const CPU = {
  arm64: 'arm64',
  aarch64: 'arm64',
  x64: 'x64',
  arm: 'arm',
  armv7: 'arm',
  ia32: 'ia32',
  ppc64: 'ppc64',
  ppc64le: 'ppc64',
};
const MORE_CPU = ['loong64', 'mips64el', 'riscv64', 's390x', 'wasm32'];

/** "@oxlint/binding-linux-arm-musleabihf" -> { os: ['linux'], cpu: ['arm'], libc: ['musl'] } */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-');
  const os = words.find((word) => OS.includes(word)) ?? (words.includes('windows') ? 'win32' : undefined);
  const word = words.find((w) => w in CPU || MORE_CPU.includes(w));
  const cpu = CPU[word] ?? word;
  const libc = words.some((w) => w.startsWith('musl')) ? 'musl' : undefined;
  return { ...(os && { os: [os] }), ...(cpu && { cpu: [cpu] }), ...(libc && { libc: [libc] }) };
}

const missing = [];
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const places = [`node_modules/${name}`, `${path}/node_modules/${name}`];
    if (places.some((place) => place in lock.packages)) continue;
    const version = range.replace(/^[\^~=]/, '');
    const platform = platformOf(name);
    if (platform.os || platform.cpu)
      missing.push([places[0], { version, ...platform, optional: true, ...(entry.dev && { dev: true }) }]);
    else console.error(`package-lock.json: ${name} (of ${path}) names no platform: left out`);
  }
}

if (process.argv.includes('--check')) {
  for (const [path] of missing) console.error(`package-lock.json lacks ${path}`);
  if (missing.length > 0) console.error('run: node tools/lock.mjs');
  process.exit(missing.length > 0 ? 1 : 0);
}
for (const [path, entry] of missing) lock.packages[path] = entry;
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${missing.length} optional packages of other platforms added`);
