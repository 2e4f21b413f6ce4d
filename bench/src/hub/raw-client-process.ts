// The floor's ends: edges that keep a window of messages under way, edges that do nothing, and the controller that answers.
import { clientCredentials } from '@skerry/common/grpc/tls';
import { nodeSubject } from '@skerry/common/pki/names';
import { serveParent } from './child.js';
import type { EdgesRequest, RelayRequest } from './edge-process.js';
import { clientMaterial } from './material.js';
import { ANSWER_BYTES, boundedWriter, RawClient, type RawStream } from './raw.js';

/** Messages of one edge under way: what a lane's first credit holds of such entries. */
const WINDOW = 400;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

serveParent({
  async controller(request: EdgesRequest): Promise<void> {
    const stream = await open(request, 'controller', 0);
    const write = boundedWriter(stream);
    stream.on('data', (message: Buffer) => write(Buffer.from(message.subarray(0, ANSWER_BYTES))));
  },
  /** Messages a second that came back answered, over all edges. */
  async relay(request: RelayRequest): Promise<number> {
    let answered = 0;
    for (let i = 0; i < request.count; i++) {
      const stream = await open(request, 'edge', i);
      const write = boundedWriter(stream);
      const send = (): void => write(Buffer.alloc(request.payloadBytes, 'x'));
      stream.on('data', () => {
        answered += 1;
        send();
      });
      for (let n = 0; n < WINDOW; n++) send();
    }
    await sleep(request.warmUpMs);
    const [before, startMs] = [answered, performance.now()];
    await sleep(request.measureMs);
    return ((answered - before) * 1_000) / (performance.now() - startMs);
  },
  async idle(request: EdgesRequest): Promise<void> {
    for (let i = 0; i < request.count; i++) await open(request, 'edge', i);
  },
});

/** Resolves when the connection is there. Each stream has a connection of its own. */
async function open(request: EdgesRequest, role: 'edge' | 'controller', index: number): Promise<RawStream> {
  const tls = clientCredentials(await clientMaterial(request.ca, nodeSubject(`${request.prefix}-${index}`)));
  const client = new RawClient(request.address, tls, { 'grpc.use_local_subchannel_pool': 1 });
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + 20_000, (error) => (error ? reject(error) : resolve()));
  });
  const start = client[role];
  if (typeof start !== 'function') throw new Error(`no method ${role}`);
  const stream: RawStream = start.call(client);
  stream.on('error', () => {});
  return stream;
}
