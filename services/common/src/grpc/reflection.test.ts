import { Duplex } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { HealthService } from '@skerry/gen/grpc/health/v1/health';
import type { ServerReflectionRequest, ServerReflectionServer } from '@skerry/gen/grpc/reflection/v1/reflection';
import { createReflection } from './reflection.js';

const question: ServerReflectionRequest = {
  host: '',
  messageRequest: { $case: 'fileContainingSymbol', value: 'grpc.health.v1.Health' },
};
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('reflection', () => {
  test('asks nothing more of a caller who does not read its answers', async () => {
    const taken: (() => void)[] = [];
    const call = new Duplex({
      objectMode: true,
      read() {},
      write: (_answer, _encoding, done) => void taken.push(done),
    });
    const { serverReflectionInfo } = createReflection([HealthService]) as unknown as ServerReflectionServer;
    serverReflectionInfo(call as unknown as Parameters<typeof serverReflectionInfo>[0]);
    for (let i = 0; i < 1_000; i++) call.push(question);
    await turn();
    expect(call.writableLength).toBe(call.writableHighWaterMark);

    let answers = 0;
    for (let done = taken.shift(); done; done = taken.shift()) {
      answers += 1;
      done();
      await turn();
    }
    expect(answers).toBe(1_000);
    call.destroy();
  });
});
