// Bench "hub": state entries from an edge through a real hub to a controller and back as Done, and the hub's memory for each idle edge.
// Each next to grpc-js alone doing the same over the same TLS in the same run, one process per side.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsMaterial } from '@skerry/common/grpc/tls';
import type { IssuedCertificate } from '@skerry/common/pki/authority';
import { type Child, startChild } from './hub/child.js';
import type { EdgesRequest, RelayRequest } from './hub/edge-process.js';
import { newCa, serverMaterial, writeMaterial } from './hub/material.js';

const PAYLOAD_BYTES = 512;
const REPORTING_EDGES = 4;
const IDLE_EDGES = 1_000;
/** Connected before the first reading, so that code and buffers which exist once are not counted per edge. */
const WARM_EDGES = 300;
/** Ours and bare take turns, the best of each counts: what else the machine does hits both. */
const ROUNDS = 2;
const TIMES = { warmUpMs: 2_000, measureMs: 5_000 };

export async function run(): Promise<Record<string, number | string>> {
  const dir = await mkdtemp(join(tmpdir(), 'sk-bench-'));
  try {
    const ca = await newCa();
    const server = await serverMaterial(ca);
    await writeMaterial(dir, server);
    let [relay, raw] = [0, 0];
    for (let round = 0; round < ROUNDS; round++) {
      relay = Math.max(relay, await withChildren((start) => relayRate(start, dir, ca)));
      raw = Math.max(raw, await withChildren((start) => rawRelayRate(start, server, ca)));
    }
    const bytes = await withChildren((start) => idleBytes(start, dir, ca));
    const rawBytes = await withChildren((start) => rawIdleBytes(start, server, ca));
    return {
      payload_bytes: PAYLOAD_BYTES,
      reporting_edges: REPORTING_EDGES,
      relay_per_s: Math.round(relay),
      relay_raw_per_s: Math.round(raw),
      relay_ratio: Number((relay / raw).toFixed(3)),
      idle_edges: IDLE_EDGES,
      bytes_per_idle_edge: Math.round(bytes),
      raw_bytes_per_idle_stream: Math.round(rawBytes),
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

type Start = (module: string) => Child;

async function withChildren<T>(fn: (start: Start) => Promise<T>): Promise<T> {
  const children: Child[] = [];
  try {
    return await fn((module) => {
      const child = startChild(module);
      children.push(child);
      return child;
    });
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

async function relayRate(start: Start, tlsDir: string, ca: IssuedCertificate): Promise<number> {
  const address = await start('hub-process').ask<string>('start', tlsDir);
  await start('controller-process').ask('attach', { address, ca });
  return start('edge-process').ask<number>('relay', relayRequest(address, ca));
}

async function rawRelayRate(start: Start, server: TlsMaterial, ca: IssuedCertificate): Promise<number> {
  const address = await start('raw-server-process').ask<string>('start', textOf(server));
  await start('raw-client-process').ask('controller', edges(address, ca, 1, 'controller'));
  return start('raw-client-process').ask<number>('relay', relayRequest(address, ca));
}

async function idleBytes(start: Start, tlsDir: string, ca: IssuedCertificate): Promise<number> {
  const hub = start('hub-process');
  const address = await hub.ask<string>('start', tlsDir);
  await start('controller-process').ask('attach', { address, ca });
  return bytesPerEdge(hub, start('edge-process'), address, ca);
}

async function rawIdleBytes(start: Start, server: TlsMaterial, ca: IssuedCertificate): Promise<number> {
  const raw = start('raw-server-process');
  const address = await raw.ask<string>('start', textOf(server));
  return bytesPerEdge(raw, start('raw-client-process'), address, ca);
}

async function bytesPerEdge(server: Child, clients: Child, address: string, ca: IssuedCertificate): Promise<number> {
  await clients.ask('idle', edges(address, ca, WARM_EDGES, 'warm'));
  const before = await server.ask<number>('memory');
  await clients.ask('idle', edges(address, ca, IDLE_EDGES, 'idle'));
  const after = await server.ask<number>('memory');
  return (after - before) / IDLE_EDGES;
}

function relayRequest(address: string, ca: IssuedCertificate): RelayRequest {
  return { ...edges(address, ca, REPORTING_EDGES, 'busy'), payloadBytes: PAYLOAD_BYTES, ...TIMES };
}

function edges(address: string, ca: IssuedCertificate, count: number, prefix: string): EdgesRequest {
  return { address, ca, count, prefix };
}

/** IPC carries text. */
function textOf({ cert, key, ca }: TlsMaterial): { cert: string; key: string; ca: string } {
  return { cert: cert.toString(), key: key.toString(), ca: ca.toString() };
}
