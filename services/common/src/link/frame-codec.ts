// Frames to bytes and back, on the hot path of every link. The generated code makes several buffers a frame, which costs more than gRPC
// itself; the usual frames take a shorter way. Peers may use either.
// Invariant: the same messages as the generated codec's.
import type { Client, ClientDuplexStream } from '@grpc/grpc-js';
import { Frame } from '@skerry/gen/skerry/link/v1/link';
import { asBuffer } from './bytes.js';
import { FrameReader } from './frame-reader.js';
import { FrameWriter } from './frame-writer.js';

export interface FrameCodec {
  encode(frame: Frame): Buffer;
  decode(bytes: Buffer): Frame;
}

export function createFrameCodec(): FrameCodec {
  const writer = new FrameWriter();
  const reader = new FrameReader();
  return {
    encode: (frame) => writer.encode(frame) ?? asBuffer(Frame.encode(frame).finish()),
    decode: (bytes) => reader.decode(bytes) ?? Frame.decode(bytes),
  };
}

/** A link's service definition with this codec, for servers and for `openFrames`. */
export function withFrameCodec<M extends string>(
  definition: Readonly<Record<M, LinkMethod>>,
): Readonly<Record<M, LinkMethod>> {
  const codec = createFrameCodec();
  const methods = Object.entries<LinkMethod>(definition).map(([name, method]) => [
    name,
    {
      ...method,
      requestSerialize: codec.encode,
      requestDeserialize: codec.decode,
      responseSerialize: codec.encode,
      responseDeserialize: codec.decode,
    },
  ]);
  return Object.fromEntries(methods) as Readonly<Record<M, LinkMethod>>;
}

/** Opens a stream of frames on a client: `openFrames(client, withFrameCodec(EdgeLinkServiceService).connect)`. */
export function openFrames(client: Client, method: LinkMethod): ClientDuplexStream<Frame, Frame> {
  return client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
}

export interface LinkMethod {
  readonly path: string;
  readonly requestStream: true;
  readonly responseStream: true;
  readonly requestSerialize: (frame: Frame) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Frame;
  readonly responseSerialize: (frame: Frame) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Frame;
}
