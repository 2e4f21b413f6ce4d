// The commands of the command line, one entry each.

import { Metadata } from '@grpc/grpc-js';
import { systemClock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { createJoinToken, HUB_TLS_SECRET, SYSTEM_NAMESPACE } from '@skerry/common/kube/join-token';
import { DEVICES, SECRETS } from '@skerry/common/kube/resources';
import { parseFlags, requireFlag } from '@skerry/common/process';
import { GetStatusResponse, StatusServiceClient } from '@skerry/gen/skerry/edge/v1/edge';
import { stringify } from 'yaml';
import { apply, type KubeSession, openKube, readManifests, resourceNamed } from './kube.js';
import { UP_USAGE } from './up/options.js';

export interface Command {
  readonly summary: string;
  /** Returns the exit code. */
  run(argv: readonly string[], signal: AbortSignal): Promise<number>;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

export const commands: Readonly<Record<string, Command>> = {
  up: {
    summary: 'start a cloud, an edge node, a Pod and a device on this machine',
    async run(argv, signal) {
      if (argv.includes('--help')) {
        print(UP_USAGE);
        return 0;
      }
      const { up } = await import('./up/up.js');
      return up(argv, signal);
    },
  },
  get: {
    summary: 'get RESOURCE [NAME] [--namespace NS] [--kubeconfig FILE]: objects of the cluster, as YAML with a name',
    async run(argv) {
      const { words, flags } = split(argv, { namespace: { type: 'string' }, kubeconfig: { type: 'string' } });
      const [text = '', name] = words;
      const resource = resourceNamed(text);
      const namespace = flags.namespace ?? 'default';
      return withKube(flags.kubeconfig, async ({ kube }) => {
        if (name !== undefined) print(stringify(await kube.get(resource, { namespace, name })).trimEnd());
        else {
          const { items } = await kube.list(resource, flags.namespace === undefined ? {} : { namespace });
          for (const { metadata } of items) print([metadata?.namespace, metadata?.name].filter(Boolean).join('/'));
        }
      });
    },
  },
  apply: {
    summary: 'apply PATH [--kubeconfig FILE]: a YAML file or a folder of them',
    async run(argv) {
      const { words, flags } = split(argv, { kubeconfig: { type: 'string' } });
      const [path] = words;
      if (path === undefined) throw new SkerryError('invalid_argument', 'give a file or folder: skerry apply PATH');
      const objects = await readManifests(path);
      return withKube(flags.kubeconfig, async ({ kube }) => {
        for (const object of objects) print(`${object.kind} ${object.metadata?.name} ${await apply(kube, object)}`);
      });
    },
  },
  'set-desired': {
    summary: 'set-desired DEVICE PROPERTY VALUE [--namespace NS] [--kubeconfig FILE]: what a device shall become',
    async run(argv) {
      const { words, flags } = split(argv, { namespace: { type: 'string' }, kubeconfig: { type: 'string' } });
      const [name, property, value] = words;
      if (name === undefined || property === undefined || value === undefined)
        throw new SkerryError(
          'invalid_argument',
          'give device, property and value: skerry set-desired DEVICE PROPERTY VALUE',
        );
      const ref = { namespace: flags.namespace ?? 'default', name };
      return withKube(flags.kubeconfig, async ({ kube }) => {
        const device = await kube.get(DEVICES, ref);
        const index = (device.spec?.properties ?? []).findIndex((p) => p.name === property);
        if (index < 0)
          throw new SkerryError('not_found', `Device ${ref.namespace}/${name} has no property "${property}"`);
        // The test makes this fail rather than hit another property when somebody edits the list meanwhile.
        await kube.patch(DEVICES, ref, {
          type: 'json',
          body: [
            { op: 'test', path: `/spec/properties/${index}/name`, value: property },
            { op: 'add', path: `/spec/properties/${index}/desired`, value: { value } },
          ],
        });
        print(`Device ${name}: desired ${property} = ${value}`);
      });
    },
  },
  token: {
    summary: 'token [--ttl-minutes N] [--node NAME] [--kubeconfig FILE]: a join token for an edge node',
    async run(argv) {
      const { flags } = split(argv, {
        'ttl-minutes': { type: 'string' },
        node: { type: 'string' },
        kubeconfig: { type: 'string' },
      });
      const ttlMs = Number(flags['ttl-minutes'] ?? '60') * 60_000;
      return withKube(flags.kubeconfig, async ({ kube }) => {
        const secret = await kube.get(SECRETS, { namespace: SYSTEM_NAMESPACE, name: HUB_TLS_SECRET });
        const caCertPem = Buffer.from(secret.data?.['ca.crt'] ?? '', 'base64').toString('utf8');
        const bound = flags.node === undefined ? {} : { node: flags.node };
        print(await createJoinToken({ kube, caCertPem, ttlMs, clock: systemClock(), ...bound }));
      });
    },
  },
  'node-status': {
    summary: "node-status --socket PATH: what an edge node says of itself (edgecore's socket, on the node)",
    async run(argv) {
      const { flags } = split(argv, { socket: { type: 'string' } });
      const path = requireFlag(flags.socket, 'socket', "edgecore's socket, <state>/run/edgecore.sock");
      const client = unixClient(StatusServiceClient, path);
      try {
        const answer = await unary<GetStatusResponse>((done) =>
          client.getStatus({}, new Metadata(), { deadline: Date.now() + 5_000 }, done),
        );
        print(stringify(GetStatusResponse.toJSON(answer)).trimEnd());
      } finally {
        client.close();
      }
      return 0;
    },
  },
};

export function usage(): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(12)} ${summary}`);
  return ['usage: skerry COMMAND', ...rows, '', UP_USAGE].join('\n');
}

type Specs = Parameters<typeof parseFlags>[1];

/** Words first, flags anywhere behind them. */
function split<T extends Specs>(argv: readonly string[], specs: T) {
  const first = argv.findIndex((arg) => arg.startsWith('--'));
  const at = first < 0 ? argv.length : first;
  return { words: argv.slice(0, at), flags: parseFlags(argv.slice(at), specs) };
}

async function withKube(
  kubeconfig: string | undefined,
  work: (session: KubeSession) => Promise<void>,
): Promise<number> {
  const path = kubeconfig ?? process.env['KUBECONFIG'];
  if (path === undefined || path === '')
    throw new SkerryError('invalid_argument', 'set KUBECONFIG or give --kubeconfig FILE');
  const session = await openKube(path);
  try {
    await work(session);
  } finally {
    await session.close();
  }
  return 0;
}
