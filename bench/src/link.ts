// The link against bare grpc-js: frames one way on one stream, and echo over 50 streams, 512 B payloads over mTLS, a process per side.
// Ours obeys credit, window, acknowledgements and drain; bare grpc-js obeys drain. Both are measured in turns in one run and the best turn
// of each counts: other load on the machine only ever slows a turn down. The median of the turns' own ratios stands beside it.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createAuthorityMaterial, issueWithNewKey, openAuthority } from '@skerry/common/pki/authority';
import { hubSubject, nodeSubject, type Subject } from '@skerry/common/pki/names';
import type { Answer, Flavour, Instruction, Material, Side, Test } from './link-peer.js';

const ROUNDS = 9;
const WARM_UP_MS = 300;
const MEASURE_MS = 800;
const DAY_MS = 86_400_000;

interface Pair {
  readonly server: ChildProcess;
  readonly client: ChildProcess;
  /** Frames per second in one turn. */
  measure(): Promise<number>;
}

export async function run(): Promise<Record<string, number | string>> {
  const material = await issueMaterial();
  const tests: Test[] = ['oneway', 'echo'];
  const results: Record<string, number> = {};
  for (const test of tests) {
    const ours = await openPair(test, 'ours', material);
    const raw = await openPair(test, 'raw', material);
    const rates = { ours: [] as number[], raw: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      rates.ours.push(await ours.measure());
      rates.raw.push(await raw.measure());
    }
    // Clients first: a server that goes is an error to them.
    for (const child of [ours.client, raw.client, ours.server, raw.server]) await stop(child);
    results[`${test}_per_s`] = Math.round(Math.max(...rates.ours));
    results[`${test}_raw_per_s`] = Math.round(Math.max(...rates.raw));
    results[`${test}_ratio`] = Math.round((100 * Math.max(...rates.ours)) / Math.max(...rates.raw)) / 100;
    results[`${test}_ratio_median`] =
      Math.round(100 * median(rates.ours.map((rate, i) => rate / (rates.raw[i] ?? rate)))) / 100;
  }
  return results;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function issueMaterial(): Promise<Record<Side, Material>> {
  const nowMs = Date.now();
  const ca = await createAuthorityMaterial(nowMs, DAY_MS);
  const authority = await openAuthority(ca);
  const issue = async (subject: Subject, usage: Side): Promise<Material> => {
    const serverNames = usage === 'server' ? ['localhost'] : [];
    const leaf = await issueWithNewKey(authority, { subject, usage, serverNames, nowMs, ttlMs: DAY_MS });
    return { cert: leaf.certPem, key: leaf.keyPem, ca: ca.certPem };
  };
  return { server: await issue(hubSubject(), 'server'), client: await issue(nodeSubject('bench'), 'client') };
}

async function openPair(test: Test, flavour: Flavour, material: Record<Side, Material>): Promise<Pair> {
  const server = fork(fileURLToPath(new URL('link-peer.js', import.meta.url)));
  const client = fork(fileURLToPath(new URL('link-peer.js', import.meta.url)));
  const { value: port } = await ask(server, { kind: 'serve', test, flavour, material: material.server });
  await ask(client, { kind: 'dial', test, flavour, material: material.client, port });
  // One way is counted where frames arrive, an echo where it comes back.
  const counter = test === 'oneway' ? server : client;
  const measure = async (): Promise<number> => {
    await ask(client, { kind: 'go' });
    await sleep(WARM_UP_MS);
    const before = await ask(counter, { kind: 'count' });
    await sleep(MEASURE_MS);
    const after = await ask(counter, { kind: 'count' });
    await ask(client, { kind: 'pause' });
    return (1_000 * (after.value - before.value)) / (after.atMs - before.atMs);
  };
  return { server, client, measure };
}

async function ask(child: ChildProcess, instruction: Instruction): Promise<Answer> {
  child.send(instruction);
  const [answer] = (await once(child, 'message')) as [Answer];
  return answer;
}

async function stop(child: ChildProcess): Promise<void> {
  child.disconnect();
  await once(child, 'exit');
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
