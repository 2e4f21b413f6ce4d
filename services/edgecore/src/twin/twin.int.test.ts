// The twin process between edgecore and a bridge, over real sockets and a real disk.
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { deviceKey } from '@skerry/common/keys';
import type { Component } from '@skerry/common/lifecycle';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import {
  type ExchangeRequest,
  type ExchangeResponse,
  type GetTwinResponse,
  TwinServiceClient,
} from '@skerry/gen/skerry/edge/v1/twin';
import { createFakeEdgecore, type FakeEdgecore } from './testing/fake-edgecore.js';
import { deviceOf, modelOf, pumpModel } from './testing/samples.js';
import { createTwin } from './twin.js';

interface Site {
  readonly dir: string;
  readonly edgecore: FakeEdgecore;
  readonly client: TwinServiceClient;
  newTwin(): Component;
  restart(): Promise<void>;
  get(name?: string): Promise<GetTwinResponse>;
  talk(): Talk;
}

/** A bridge's stream. */
interface Talk {
  update(actual: string): Promise<ExchangeResponse>;
  readonly notices: ExchangeResponse[];
  /** Stops and goes on reading. */
  pause(): void;
  resume(): void;
  end(): void;
}

const deadline = (): AbortSignal => AbortSignal.timeout(4_000);

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await check()); tries++) {
    if (tries === 800) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function withSite(fn: (site: Site) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const run = (name: string): string => join(dir, 'run', `${name}.sock`);
    const edgecore = createFakeEdgecore(run('edgecore'));
    const newTwin = (): Component =>
      createTwin({
        node: 'edge-1',
        edgecoreSocket: run('edgecore'),
        socket: run('twin'),
        stateDir: join(dir, 'twin'),
        clock: systemClock(),
        logger: nullLogger(),
      });
    const client = unixClient(TwinServiceClient, run('twin'));
    let twin = newTwin();
    await edgecore.start();
    await twin.start();
    try {
      await fn({
        dir,
        edgecore,
        client,
        newTwin,
        async restart() {
          await twin.stop(deadline());
          twin = newTwin();
          await twin.start();
        },
        get: (name = 'pump-1') => unary((done) => client.getTwin({ device: { namespace: 'plant', name } }, done)),
        talk: () => talkTo(client),
      });
    } finally {
      client.close();
      await twin.stop(deadline());
      await edgecore.stop();
    }
  });
}

function talkTo(client: TwinServiceClient): Talk {
  const stream = client.exchange();
  const notices: ExchangeResponse[] = [];
  const waiting = new Map<bigint, (response: ExchangeResponse) => void>();
  let id = 0n;
  stream.on('error', () => {});
  stream.on('data', (response: ExchangeResponse) => {
    if (response.id === 0n) notices.push(response);
    else waiting.get(response.id)?.(response);
  });
  return {
    notices,
    update(actual) {
      id += 1n;
      const twins = { rpm: { remove: false, actual } };
      const device = { namespace: 'plant', name: 'pump-1' };
      const request: ExchangeRequest = {
        id,
        eventId: actual,
        device,
        request: { $case: 'twinUpdate', value: { twins } },
      };
      const mine = id;
      return new Promise((resolve) => {
        waiting.set(mine, resolve);
        stream.write(request);
      });
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    end: () => stream.end(),
  };
}

const knows = (site: Site, name?: string) => (): Promise<boolean> =>
  site.get(name).then(
    () => true,
    () => false,
  );

describe('what the cloud wants', () => {
  test(
    'arrives, survives a restart without edgecore, and goes when it is deleted',
    () =>
      withSite(async (site) => {
        site.edgecore.putModel(pumpModel);
        site.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm', desired: { value: '1500' } }]));
        await until(knows(site));
        await site.edgecore.stop();
        await site.restart();
        expect((await site.get()).twins['rpm']).toMatchObject({ type: 'int', expected: { value: '1500' } });
        await site.edgecore.start();
        site.edgecore.deleteKey(deviceKey('plant', 'pump-1'));
        await until(async () => !(await knows(site)()));
        await until(() => !site.edgecore.reported.has('devicestatus/plant/pump-1'));
      }),
    15_000,
  );

  test(
    'a store that is not synced removes nothing; a synced one does',
    () =>
      withSite(async (site) => {
        site.edgecore.putModel(pumpModel);
        site.edgecore.putDevice(deviceOf('pump-1', []));
        await until(knows(site));
        await site.edgecore.stop();
        const other = createFakeEdgecore(join(site.dir, 'run', 'edgecore.sock'));
        other.setSynced(false);
        other.putModel(pumpModel);
        other.putDevice(deviceOf('pump-2', []));
        await other.start();
        try {
          await until(knows(site, 'pump-2'));
          expect(await knows(site)()).toBe(true);
          other.setSynced(true);
          await until(async () => !(await knows(site)()));
        } finally {
          await other.stop();
          await site.edgecore.start();
        }
      }),
    15_000,
  );

  test('a device waits for its model, and takes up a changed one', () =>
    withSite(async (site) => {
      site.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm', desired: { value: '1500' } }]));
      site.edgecore.putDevice({ ...deviceOf('other', []), spec: { nodeName: 'edge-1' } });
      await until(knows(site, 'other'));
      expect(await knows(site)()).toBe(false);
      site.edgecore.putModel(modelOf([{ name: 'rpm', type: 'INT', maximum: '1000' }]));
      await until(knows(site));
      expect((await site.get()).twins['rpm']?.expected).toBeUndefined();
      site.edgecore.putModel(pumpModel);
      await until(async () => (await site.get()).twins['rpm']?.expected?.value === '1500');
    }));
});

describe('reports', () => {
  test(
    'begin with start, everything, complete; and again after edgecore was away',
    () =>
      withSite(async ({ edgecore, ...site }) => {
        await until(() => edgecore.items.includes('alive'));
        expect(edgecore.items.slice(0, 3)).toEqual(['start', 'complete', 'alive']);
        edgecore.putModel(pumpModel);
        edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm' }]));
        await until(() => edgecore.reported.has('devicestatus/plant/pump-1'));
        await edgecore.stop();
        edgecore.items.splice(0);
        const talk = site.talk();
        await talk.update('7');
        await edgecore.start();
        await until(() => edgecore.items.includes('alive'));
        expect(edgecore.items.slice(0, 4)).toEqual(['start', 'put', 'complete', 'alive']);
        expect(edgecore.reported.get('devicestatus/plant/pump-1')).toMatchObject({
          status: { twins: [{ reported: { value: '7' } }] },
        });
        talk.end();
      }),
    15_000,
  );
});

describe('the disk', () => {
  test('a bridge is answered in order after the write, and told every delta when it connects', () =>
    withSite(async (site) => {
      site.edgecore.putModel(pumpModel);
      site.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm', desired: { value: '1500' } }]));
      await until(knows(site));
      const talk = site.talk();
      const answered: string[] = [];
      await Promise.all(
        Array.from({ length: 200 }, (_, n) => talk.update(String(n)).then(({ eventId }) => answered.push(eventId))),
      );
      expect(answered).toEqual(Array.from({ length: 200 }, (_, n) => String(n)));
      expect(talk.notices[0]?.result).toMatchObject({ $case: 'twinDelta', value: { delta: { rpm: '1500' } } });
      talk.end();
    }));

  test('a bridge that does not read for a while is answered in full when it does', () =>
    withSite(async (site) => {
      site.edgecore.putModel(pumpModel);
      site.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm' }]));
      await until(knows(site));
      const talk = site.talk();
      await talk.update('0');
      talk.pause();
      const answers = Array.from({ length: 6_000 }, (_, n) => talk.update(String(n)));
      await until(async () => (await site.get()).twins['rpm']?.actual?.value !== '0');
      talk.resume();
      expect((await Promise.all(answers)).filter(({ result }) => result?.$case !== 'twinChanged')).toEqual([]);
      talk.end();
    }));

  test('when it refuses, clients get 500, nothing unwritten is shown, and it goes on once the disk is back', () =>
    withSite(async (site) => {
      site.edgecore.putModel(pumpModel);
      site.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm' }]));
      await until(knows(site));
      const talk = site.talk();
      await talk.update('1');
      const file = join(site.dir, 'twin', 'twins.db');
      const saved = await readFile(file);
      // A folder in the place of the file refuses to be written, to root too.
      await rm(file);
      await mkdir(file);
      expect((await talk.update('2')).result).toMatchObject({ $case: 'error', value: { code: 500 } });
      expect((await talk.update('3')).result).toMatchObject({ $case: 'error', value: { code: 500 } });
      await rm(file, { recursive: true });
      await writeFile(file, saved);
      await until(async () => (await talk.update('4')).result?.$case === 'twinChanged');
      expect((await site.get()).twins['rpm']?.actual?.value).toBe('4');
      talk.end();
    }));

  test('a second twin on the same state is refused', () =>
    withSite(async (site) => {
      await expect(site.newTwin().start()).rejects.toThrow(/held by process/);
      expect((await stat(join(site.dir, 'twin', 'twins.db'))).mode & 0o777).toBe(0o600);
    }));
});
