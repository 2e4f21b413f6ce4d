// Runs one bench by name and prints its figures as one JSON line. Each bench measures its raw floor in the same run.
import { cpus, totalmem } from 'node:os';

type Figures = Record<string, number | string>;
interface Bench {
  run(): Promise<Figures>;
}

const benches: Record<string, () => Promise<Bench>> = {
  'edge-memory': () => import('./edge-memory.js'),
  hub: () => import('./hub.js'),
  link: () => import('./link.js'),
};

const [name = '', ...flags] = process.argv.slice(2);
const load = Object.hasOwn(benches, name) ? benches[name] : undefined;
if (load === undefined || flags.some((flag) => flag !== '--json')) {
  process.stderr.write(
    `usage: npm run -s bench -- NAME --json, where NAME is one of ${Object.keys(benches).join(', ')}\n`,
  );
  process.exit(2);
}
const figures = await (await load()).run();
const machine = { node: process.versions.node, cores: cpus().length, memory_gb: Math.round(totalmem() / 2 ** 30) };
process.stdout.write(`${JSON.stringify({ bench: name, ...figures, ...machine })}\n`);
