import type { NetworkInterfaceInfo } from 'node:os';
import { expect, test } from '@jest/globals';
import { hostAddresses } from './host-addresses.js';

function address(text: string, internal = false): NetworkInterfaceInfo {
  const common = { address: text, netmask: '', mac: '', internal, cidr: null };
  return text.includes(':') ? { ...common, family: 'IPv6', scopeid: 0 } : { ...common, family: 'IPv4' };
}

const lo = [address('127.0.0.1', true), address('::1', true)];

test.each([
  ['IPv4 before IPv6', { lo, eth0: [address('2001:db8::1'), address('192.0.2.1')] }, ['192.0.2.1', '2001:db8::1']],
  ['a real interface', { lo, docker0: [address('172.17.0.1')], wlan0: [address('192.0.2.2')] }, ['192.0.2.2']],
  ['no link-local address', { lo, eth0: [address('169.254.1.1'), address('fe80::1')] }, ['127.0.0.1']],
  ['IPv6 alone', { eth0: [address('2001:db8::1')] }, ['2001:db8::1']],
])('%s', (_name, interfaces, expected) => {
  expect(hostAddresses(interfaces)).toEqual(expected);
});
