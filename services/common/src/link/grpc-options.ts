// How the link sets up HTTP/2: windows that hold a second of a fast link, small messages, dead connections found.
// grpc-js servers have no option for their windows (clients have grpc-node.flow_control_window), so an interceptor sets them on the
// session of the first call; without it a link of 100 ms round trip carries 64 KiB per round trip.
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { type ChannelOptions, ServerInterceptingCall, type ServerInterceptor, type ServerOptions } from '@grpc/grpc-js';
import { MAX_MESSAGE_BYTES, MAX_WINDOW_BYTES } from './limits.js';

/** What may be in flight and its framing. */
const HTTP2_WINDOW_BYTES = MAX_WINDOW_BYTES + 1024 * 1024;
/** The first ping on a silent connection, and how long its answer may take. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

const SHARED: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
};

/** For the gRPC client of a link. Make a new client for each dial and close it afterwards: a dead connection is never used twice. */
export function linkChannelOptions(): ChannelOptions {
  return {
    ...SHARED,
    'grpc-node.flow_control_window': HTTP2_WINDOW_BYTES,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
  };
}

/** For the gRPC server of a link; goes into `createGrpcServer({ channelOptions })`. */
export function linkServerOptions(): ServerOptions {
  const widened = new WeakSet<ServerHttp2Session>();
  const widen: ServerInterceptor = (_method, call) => {
    const session = sessionOf(call);
    if (session && !widened.has(session)) {
      widened.add(session);
      session.settings({ initialWindowSize: HTTP2_WINDOW_BYTES });
      session.setLocalWindowSize(HTTP2_WINDOW_BYTES);
    }
    return new ServerInterceptingCall(call);
  };
  return { ...SHARED, interceptors: [widen] };
}

/** The session under a server call. grpc-js keeps it private; the integration tests notice if it moves. */
function sessionOf(call: unknown): ServerHttp2Session | undefined {
  const { stream } = call as { stream?: ServerHttp2Stream };
  const session = stream?.session;
  return session && !session.destroyed ? (session as ServerHttp2Session) : undefined;
}
