// The node's addresses as Pods on the host's network have them.
import { networkInterfaces } from 'node:os';

/** IPv4 before IPv6, one of each family, the loopback when there is nothing else. Link-local addresses are of no use to others. */
export function hostAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = all.filter(({ internal, address }) => !internal && !/^(169\.254\.|fe80:)/.test(address));
  const first = (family: string): string[] =>
    outer
      .filter((each) => each.family === family)
      .slice(0, 1)
      .map((each) => each.address);
  const found = [...first('IPv4'), ...first('IPv6')];
  return found.length > 0 ? found : ['127.0.0.1'];
}
