// The whole service without a hub: it starts, tells its health, and stops without a trace.
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { createFakeKube } from '@skerry/common/controller/testing/fake-kube';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { LEASES, SECRETS } from '@skerry/common/kube/resources';
import { createLifecycle } from '@skerry/common/lifecycle';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { HealthClient, HealthCheckResponse_ServingStatus as Status } from '@skerry/gen/grpc/health/v1/health';
import { createEdgeController } from './app.js';

describe('edgecontroller', () => {
  test('serves health while no hub can be reached, and frees its shards when it stops', () =>
    withTempDir(async (dir) => {
      const kube = createFakeKube();
      const [clock, logger] = [systemClock(), nullLogger()];
      const healthSocket = join(dir, 'run', 'health.sock');
      const { components, stats } = createEdgeController({
        client: kube.client,
        kubeStats: () => ({ queued: 0, refused: 7, retries: 0 }),
        hubs: ['127.0.0.1:1'],
        instance: 'edgecontroller-0',
        serverNames: ['localhost'],
        nodeCertificateTtlMs: 86_400_000,
        healthSocket,
        clock,
        random: Math.random,
        logger,
      });
      const app = createLifecycle({ components, stopTimeoutMs: 5_000, clock, logger });
      await app.start();
      const health = unixClient(HealthClient, healthSocket);
      try {
        expect(await unary((done) => health.check({ service: '' }, done))).toEqual({ status: Status.SERVING });
        expect(kube.list(SECRETS).map(({ metadata }) => metadata?.name)).toContain('skerry-ca');
        while (stats()['shards'] !== 64) await clock.sleep(10);
        expect(stats()).toMatchObject({ kube: { refused: 7 } });
      } finally {
        health.close();
        await app.stop();
      }
      const holders = new Set(kube.list(LEASES).map(({ spec }) => spec?.holderIdentity));
      expect(holders).toEqual(new Set(['']));
    }));
});
