// What the machine says about itself, read from the operating system.
import { readFile, statfs } from 'node:fs/promises';
import { arch, cpus, hostname, networkInterfaces, platform, release, totalmem } from 'node:os';

export interface NodeFacts {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  /** Go's names, as Kubernetes uses them: amd64, arm64, arm ... */
  readonly architecture: string;
  readonly operatingSystem: string;
  readonly hostname: string;
  readonly internalIp: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  readonly machineId: string;
  readonly bootId: string;
}

const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
/** Interfaces of container networks: their addresses are not the node's. */
const VIRTUAL = /^(docker|br-|veth|cni|flannel|cali|virbr|tun|tap)/;

/** `stateDir` is where Pods' files will lie: its file system is the node's ephemeral storage. */
export async function readNodeFacts(stateDir: string): Promise<NodeFacts> {
  const [storage, osRelease, machineId, bootId] = await Promise.all([
    statfs(stateDir),
    readText('/etc/os-release'),
    readText('/etc/machine-id'),
    readText('/proc/sys/kernel/random/boot_id'),
  ]);
  return {
    cpus: cpus().length,
    memoryBytes: totalmem(),
    storageBytes: storage.blocks * storage.bsize,
    architecture: GO_ARCHITECTURES[arch()] ?? arch(),
    operatingSystem: platform(),
    hostname: hostname(),
    internalIp: internalIp(),
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? platform(),
    machineId,
    bootId,
  };
}

/** The first address of a real interface, IPv4 before IPv6. */
function internalIp(): string {
  const addresses = Object.entries(networkInterfaces())
    .filter(([name]) => !VIRTUAL.test(name))
    .flatMap(([, list]) => list ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'));
  const chosen = addresses.find(({ family }) => family === 'IPv4') ?? addresses[0];
  return chosen?.address ?? '127.0.0.1';
}

async function readText(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim();
}
