// cloudhub as it ships, in a process of its own; only the Kubernetes API is left out.
import { performance } from 'node:perf_hooks';
import { createCloudhub } from '@skerry/cloudhub/app';
import { systemClock } from '@skerry/common/clock';
import { createLifecycle } from '@skerry/common/lifecycle';
import { nullLogger } from '@skerry/common/logger';
import { serveParent, settledMemory } from './child.js';

const clock = systemClock();
const logger = nullLogger();

serveParent({
  async start(tlsDir: string): Promise<string> {
    let last = performance.eventLoopUtilization();
    const hub = await createCloudhub({
      host: '127.0.0.1',
      port: 0,
      tlsDir,
      instance: 'bench',
      // Nothing reads the answers.
      kube: { patch: async () => ({}) as never, create: async () => ({}) as never },
      clock,
      random: Math.random,
      utilization: () => {
        const now = performance.eventLoopUtilization();
        const { utilization } = performance.eventLoopUtilization(now, last);
        last = now;
        return utilization;
      },
      logger,
    });
    await createLifecycle({ components: hub.components, stopTimeoutMs: 5_000, clock, logger }).start();
    return `localhost:${hub.port()}`;
  },
  memory: settledMemory,
});
