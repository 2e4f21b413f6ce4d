// The floor's middle: passes what comes from an edge to the controller, and the answers back to the edge that their first bytes name.
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { serveParent, settledMemory } from './child.js';
import { boundedWriter, rawService } from './raw.js';

type Stream = ServerDuplexStream<Buffer, Buffer>;

interface StartRequest {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

const edges: ((message: Buffer) => void)[] = [];
let toController: ((message: Buffer) => void) | undefined;

serveParent({
  start: ({ cert, key, ca }: StartRequest): Promise<string> => {
    const server = new Server();
    server.addService(rawService, {
      edge: (call: Stream) => {
        const index = edges.push(boundedWriter(call)) - 1;
        call.on('error', () => {});
        call.on('data', (message: Buffer) => {
          message.writeUInt32BE(index, 0);
          toController?.(message);
        });
      },
      controller: (call: Stream) => {
        toController = boundedWriter(call);
        call.on('error', () => {});
        call.on('data', (message: Buffer) => edges[message.readUInt32BE(0)]?.(message));
      },
    });
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
    const credentials = ServerCredentials.createSsl(Buffer.from(ca), [pair], true);
    return new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
        error ? reject(error) : resolve(`localhost:${port}`),
      );
    });
  },
  memory: settledMemory,
});
