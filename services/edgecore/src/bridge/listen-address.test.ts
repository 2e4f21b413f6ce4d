import { describe, expect, test } from '@jest/globals';
import { parseListenAddress } from './listen-address.js';

describe('parseListenAddress', () => {
  test.each([
    ['127.0.0.1:1883', { host: '127.0.0.1', port: 1883 }],
    ['localhost:0', { host: '127.0.0.1', port: 0 }],
    ['127.8.9.10:65535', { host: '127.8.9.10', port: 65_535 }],
    ['[::1]:1884', { host: '::1', port: 1884 }],
  ])('%s', (text, address) => expect(parseListenAddress(text)).toEqual(address));

  test.each(['0.0.0.0:1883', '[::]:1883', '192.168.1.4:1883', 'example.org:1883', '127.evil.example:1883'])(
    '%s is refused because clients are not authenticated',
    (text) => expect(() => parseListenAddress(text)).toThrow(/only loopback/),
  );

  test.each(['', '1883', '127.0.0.1', '127.0.0.1:', '127.0.0.1:65536', 'tcp://127.0.0.1:1883', '::1:1883'])(
    '%j is no address',
    (text) => expect(() => parseListenAddress(text)).toThrow(/host:port/),
  );
});
