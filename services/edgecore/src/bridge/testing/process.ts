// The twin or the bridge as a process of its own, from the built files, to be killed with -9.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const RUN = `
const [modules, part, options] = process.argv.slice(1);
const { systemClock } = await import(modules + 'common/dist/clock.js');
const drop = () => {};
const logger = { debug: drop, info: drop, warn: drop, error: drop, child: () => logger };
const { createTwin, createBridge } = await import(modules + 'edgecore/dist/' + part + '/' + part + '.js');
const component = (createTwin ?? createBridge)({ ...JSON.parse(options), clock: systemClock(), logger });
await component.start();
process.stdout.write('started ' + (component.address?.() ?? '') + '\\n');
`;

export interface PartProcess {
  /** What the part listens on, for the bridge. */
  readonly address: string;
  kill9(): Promise<void>;
}

/** Resolves when the part has started. */
export async function spawnPart(part: 'twin' | 'bridge', options: object): Promise<PartProcess> {
  const services = new URL('../../../../', import.meta.url).href;
  const args = ['--input-type=module', '-e', RUN, services, part, JSON.stringify(options)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const address = await started(child, exited, part);
  return {
    address,
    async kill9() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function started(
  child: ChildProcess & { stdout: NodeJS.ReadableStream },
  exited: Promise<unknown>,
  part: string,
): Promise<string> {
  const said = once(child.stdout, 'data').then(([chunk]) => String(chunk));
  const text = await Promise.race([said, exited.then(() => '')]);
  if (!text.startsWith('started')) throw new Error(`the ${part} process did not start`);
  return text.trim().slice('started '.length);
}
