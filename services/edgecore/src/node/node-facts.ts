// What the machine says about itself, read from the operating system.
import { readFile, statfs } from 'node:fs/promises';
import { arch, cpus, hostname, platform, release, totalmem } from 'node:os';
import { hostAddresses } from '../host-addresses.js';

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
    internalIp: hostAddresses()[0] ?? '',
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? platform(),
    machineId,
    bootId,
  };
}

async function readText(path: string): Promise<string> {
  return (await readFile(path, 'utf8').catch(() => '')).trim();
}
