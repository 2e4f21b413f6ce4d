// Makes edgecore as it ships: one JavaScript file and its chunks in dist/bundle, without node_modules. Run after `tsc --build`.
// Sidecars are chunks of their own that are loaded when they are needed, so that edgecore itself stays small. classic-level (the broker's
// sessions) has a native part: its package and what it needs to find the prebuilt binary are copied beside the bundle, not bundled.
import { cp, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { build } from 'esbuild';

const here = import.meta.dirname;
const out = join(here, 'dist/bundle');
const NATIVE = ['classic-level'];

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const { metafile } = await build({
  entryPoints: { edgecore: join(here, 'dist/main.js') },
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'linked',
  metafile: true,
  external: NATIVE,
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

const seen = new Set();
for (const name of NATIVE) await copyPackage(name, createRequire(join(here, 'package.json')));

const bytes = Object.values(metafile.outputs).reduce((sum, file) => sum + file.bytes, 0);
console.log(`${out}: ${(bytes / 1e6).toFixed(1)} MB`);

/** Copies a package and, recursively, what it depends on. */
async function copyPackage(name, from) {
  if (seen.has(name)) return;
  seen.add(name);
  const dir = await packageDir(name, from);
  const manifest = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8'));
  const skip = ['deps', 'node_modules', 'test', 'src', 'docs'].map((folder) => join(dir, folder));
  await cp(dir, join(out, 'node_modules', name), {
    recursive: true,
    filter: (source) => !skip.includes(source) && !/\.(cc|gyp|gypi|md|d\.ts)$|prebuilds\/(?!linux)/.test(source),
  });
  const inner = createRequire(join(dir, 'package.json'));
  for (const dependency of Object.keys(manifest.dependencies ?? {})) await copyPackage(dependency, inner);
}

async function packageDir(name, from) {
  // With a path behind it: some packages are called like modules of Node.js.
  for (const folder of from.resolve.paths(`${name}/package.json`) ?? []) {
    const dir = join(folder, name);
    if (await stat(join(dir, 'package.json')).catch(() => undefined)) return dir;
  }
  throw new Error(`package ${name} is not installed`);
}
