// Where the embedded broker may listen. Invariant: only where nobody else's machine can reach it, because its clients are not authenticated.
import { SkerryError } from '@skerry/common/errors';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const ADDRESS = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/;
const LOOPBACK_V4 = /^127(\.\d{1,3}){3}$/;

/** "127.0.0.1:1883", "localhost:0", "[::1]:1883". Throws `invalid_argument` for anything else, addresses of other interfaces included. */
export function parseListenAddress(text: string): ListenAddress {
  const [, v6, name, digits] = ADDRESS.exec(text) ?? [];
  const port = Number(digits);
  const host = name === 'localhost' ? '127.0.0.1' : (v6 ?? name);
  if (host === undefined || !(port <= 65_535)) {
    throw new SkerryError(
      'invalid_argument',
      `"${text}" is not an address to listen on: want host:port, for example 127.0.0.1:1883`,
    );
  }
  if (host !== '::1' && !LOOPBACK_V4.test(host)) {
    throw new SkerryError(
      'invalid_argument',
      `the MQTT broker cannot listen on ${text}: its clients are not authenticated, so only loopback addresses (127.0.0.1, ::1) are allowed`,
    );
  }
  return { host, port };
}
