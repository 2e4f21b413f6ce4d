// The node's own addresses: the Node object's, and those of Pods on the host's network.
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';

/** Interfaces of container networks: their addresses are not the node's. */
const VIRTUAL = /^(docker|br-|veth|cni|flannel|cali|virbr|tun|tap)/;
const LINK_LOCAL = /^(169\.254\.|fe80:)/;

/**
 * One address of each family, IPv4 before IPv6, of real interfaces; the loopback when there is none. Link-local addresses are of no use to
 * others.
 */
export function hostAddresses(interfaces = networkInterfaces()): readonly string[] {
  const outer = Object.entries(interfaces)
    .filter(([name]) => !VIRTUAL.test(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !LINK_LOCAL.test(address));
  const first = (family: NetworkInterfaceInfo['family']): string[] =>
    outer.flatMap((each) => (each.family === family ? [each.address] : [])).slice(0, 1);
  const found = [...first('IPv4'), ...first('IPv6')];
  return found.length > 0 ? found : ['127.0.0.1'];
}
