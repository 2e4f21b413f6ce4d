// Makes edgecore as it ships: one JavaScript file and its chunks in dist/bundle, without node_modules. Run after `tsc --build`.
// Sidecars are chunks of their own that are loaded when they are needed, so that edgecore itself stays small. classic-level (the broker's
// sessions) has a native part, which no bundler can take in: its package and what that needs are copied beside the bundle, with the
// prebuilt binaries for Linux.
// Invariant: files are replaced one by one and only when they changed, so that a running edgecore still finds its chunks.
import { cp, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { build } from 'esbuild';

const here = import.meta.dirname;
const out = join(here, 'dist/bundle');
const NATIVE = 'classic-level';

const { outputFiles } = await build({
  entryPoints: { edgecore: join(here, 'dist/main.js') },
  outdir: out,
  outExtension: { '.js': '.mjs' },
  write: false,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  external: [NATIVE],
  logLevel: 'warning',
  // CommonJS packages in an ES module still ask for require and __dirname.
  banner: {
    js: [
      "import { createRequire as skerryRequire } from 'node:module';",
      'const require = skerryRequire(import.meta.url);',
      'const __filename = import.meta.filename; const __dirname = import.meta.dirname;',
    ].join(' '),
  },
});

await mkdir(out, { recursive: true });
// The entry last: it names the chunks.
const files = outputFiles.toSorted(
  (a, b) => Number(a.path.endsWith('/edgecore.mjs')) - Number(b.path.endsWith('/edgecore.mjs')),
);
for (const { path, contents } of files) await replaceFile(path, contents);
const wanted = new Set([...files.map(({ path }) => basename(path)), 'node_modules']);
for (const name of await readdir(out)) if (!wanted.has(name)) await rm(join(out, name), { recursive: true });
await copyPackage(NATIVE, createRequire(join(here, 'package.json')), new Set());

const bytes = files.reduce((sum, { contents }) => sum + contents.length, 0);
console.log(`${out}: ${(bytes / 1e6).toFixed(1)} MB`);

async function replaceFile(path, contents) {
  const before = await readFile(path).catch(() => undefined);
  if (before?.equals(contents)) return;
  await writeFile(`${path}.new`, contents);
  await rename(`${path}.new`, path);
}

/** Copies a package and, recursively, what it depends on; one that is there in the same version is left alone. */
async function copyPackage(name, from, seen) {
  if (seen.has(name)) return;
  seen.add(name);
  const dir = await packageDir(name, from);
  const target = join(out, 'node_modules', name);
  const { version, dependencies = {} } = await manifestOf(dir);
  if ((await manifestOf(target).catch(() => undefined))?.version !== version) await copyWithoutSources(dir, target);
  const inner = createRequire(join(dir, 'package.json'));
  for (const dependency of Object.keys(dependencies)) await copyPackage(dependency, inner, seen);
}

async function copyWithoutSources(dir, target) {
  const skip = new Set(['deps', 'node_modules', 'test', 'src', 'docs'].map((folder) => join(dir, folder)));
  await mkdir(dirname(target), { recursive: true });
  await cp(dir, target, {
    recursive: true,
    filter: (source) => !skip.has(source) && !/\.(cc|gyp|gypi|md|d\.ts)$|prebuilds\/(?!linux)/.test(source),
  });
}

async function manifestOf(dir) {
  return JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'));
}

async function packageDir(name, from) {
  // With a path behind it: some packages are called like modules of Node.js.
  for (const folder of from.resolve.paths(`${name}/package.json`) ?? []) {
    const dir = join(folder, name);
    if (await stat(join(dir, 'package.json')).catch(() => undefined)) return dir;
  }
  throw new Error(`package ${name} is not installed`);
}
