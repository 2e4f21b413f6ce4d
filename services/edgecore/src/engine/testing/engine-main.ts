// An engine in a process of its own, so that a test can kill it: a plain JSON object on the command line says where things are.
import { systemClock } from '@skerry/common/clock';
import { nullLogger } from '@skerry/common/logger';
import { createEngine } from '../engine.js';
import { createRuntime } from '../runtime/create-runtime.js';

async function main(): Promise<void> {
  const { edgecoreSocket, socket, stateDir } = JSON.parse(process.argv[2] ?? '{}');
  const clock = systemClock();
  const runtime = await createRuntime({ kind: 'process', stateDir, clock });
  const backoff = { baseMs: 100, maxMs: 400, resetAfterMs: 600_000 };
  const logger = nullLogger();
  await createEngine({ node: 'edge-1', edgecoreSocket, socket, stateDir, runtime, backoff, clock, logger }).start();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
