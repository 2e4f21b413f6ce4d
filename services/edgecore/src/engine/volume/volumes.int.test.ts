import { mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { configMapKey } from '@skerry/common/keys';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import type { References } from '../pod/types.js';
import { podOf } from '../testing/pods.js';
import { writeAtomicDir } from './atomic-dir.js';
import { checkHostPath } from './host-path.js';
import { createVolumes } from './volumes.js';

const file = (path: string, text: string, mode = 0o644) => ({ path, data: Buffer.from(text), mode });
const visible = async (dir: string): Promise<string[]> =>
  (await readdir(dir)).filter((name) => !name.startsWith('..')).sort();

describe('atomic directory', () => {
  test('holds the files behind links, with their modes', () =>
    withTempDir(async (dir) => {
      expect(await writeAtomicDir(dir, [file('a', '1', 0o400), file('d/b', '2')])).toBe(true);
      expect(await readFile(join(dir, 'a'), 'utf8')).toBe('1');
      expect(await readFile(join(dir, 'd/b'), 'utf8')).toBe('2');
      expect((await stat(join(dir, 'a'))).mode & 0o777).toBe(0o400);
      expect(await readlink(join(dir, 'a'))).toBe('..data/a');
      expect(await visible(dir)).toEqual(['a', 'd']);
    }));

  test('changes all at once, drops what is gone, and leaves no old generation', () =>
    withTempDir(async (dir) => {
      await writeAtomicDir(dir, [file('a', '1'), file('b', '1')]);
      const before = await readlink(join(dir, '..data'));
      await writeAtomicDir(dir, [file('a', '2'), file('c', '2')]);
      expect(await visible(dir)).toEqual(['a', 'c']);
      expect(await readFile(join(dir, 'a'), 'utf8')).toBe('2');
      expect(await readdir(dir)).not.toContain(before);
      expect((await readdir(dir)).filter((name) => name.startsWith('..'))).toHaveLength(2);
    }));

  test('the same content is not written again, but lost links come back', () =>
    withTempDir(async (dir) => {
      await writeAtomicDir(dir, [file('a', '1')]);
      const { unlink } = await import('node:fs/promises');
      await unlink(join(dir, 'a'));
      // What a crash left half written.
      await mkdir(join(dir, '..new'));
      await symlink('nowhere', join(dir, '..data_new'));
      expect(await writeAtomicDir(dir, [file('a', '1')])).toBe(false);
      expect(await readFile(join(dir, 'a'), 'utf8')).toBe('1');
      expect(await readdir(dir)).toHaveLength(3);
    }));

  test('a reader of ..data never sees a mixture', () =>
    withTempDir(async (dir) => {
      const write = (text: string) => writeAtomicDir(dir, [file('a', text), file('b', text)]);
      await write('0');
      let done = false;
      const mixtures: string[] = [];
      const reading = (async () => {
        while (!done) {
          const generation = await readlink(join(dir, '..data'));
          const read = (name: string) => readFile(join(dir, generation, name), 'utf8').catch(() => undefined);
          const [a, b] = [await read('a'), await read('b')];
          if (a !== undefined && b !== undefined && a !== b) mixtures.push(`${a} ${b}`);
        }
      })();
      for (let i = 1; i <= 50; i++) await write(String(i));
      done = true;
      await reading;
      expect(mixtures).toEqual([]);
    }));
});

describe('hostPath', () => {
  test('each type takes what it names', () =>
    withTempDir(async (dir) => {
      const [folder, plain, socket] = [join(dir, 'd'), join(dir, 'f'), join(dir, 's')];
      await mkdir(folder);
      await writeFile(plain, '');
      const server = createServer().listen(socket);
      await new Promise((resolve) => server.once('listening', resolve));
      await checkHostPath(folder, '');
      await checkHostPath(join(dir, 'absent'), '');
      await checkHostPath(folder, 'Directory');
      await checkHostPath(plain, 'File');
      await checkHostPath(socket, 'Socket');
      await checkHostPath('/dev/null', 'CharDevice');
      await checkHostPath(join(dir, 'new/d'), 'DirectoryOrCreate');
      await checkHostPath(join(dir, 'new/f'), 'FileOrCreate');
      expect((await stat(join(dir, 'new/d'))).isDirectory()).toBe(true);
      expect((await stat(join(dir, 'new/f'))).isFile()).toBe(true);
      await expect(checkHostPath(plain, 'Directory')).rejects.toThrow(`${plain} is not a directory`);
      await expect(checkHostPath(join(dir, 'absent'), 'File')).rejects.toMatchObject({ code: 'failed_precondition' });
      await expect(checkHostPath('/dev/null', 'BlockDevice')).rejects.toThrow('is not a block device');
      await expect(checkHostPath(folder, 'Pipe')).rejects.toMatchObject({ code: 'invalid_argument' });
      await new Promise((resolve) => server.close(resolve));
    }));
});

describe('volumes of a Pod', () => {
  const volumes = [
    { name: 'conf', configMap: { name: 'cm' } },
    { name: 'tmp', emptyDir: {} },
  ];
  const pod = podOf('u1', { volumes });
  const references: References = new Map([[configMapKey('default', 'cm'), { data: { a: '1' } }]]);

  test('are made, kept over a second mount, and removed', () =>
    withTempDir(async (dir) => {
      const all = createVolumes({ dir });
      await all.mount(pod, references);
      await writeFile(join(all.path(pod, 'tmp'), 'work'), 'kept');
      await all.mount(pod, references);
      expect(await readFile(join(all.path(pod, 'conf'), 'a'), 'utf8')).toBe('1');
      expect(await readFile(join(all.path(pod, 'tmp'), 'work'), 'utf8')).toBe('kept');
      expect((await stat(all.path(pod, 'tmp'))).mode & 0o777).toBe(0o777);
      expect(await all.pods()).toEqual(['u1']);
      await all.remove('u1');
      expect(await all.pods()).toEqual([]);
    }));

  test('one that cannot be made is named', () =>
    withTempDir(async (dir) => {
      const message = 'MountVolume.SetUp failed for volume "conf" : configmap "cm" not found';
      await expect(createVolumes({ dir }).mount(pod, new Map())).rejects.toThrow(message);
    }));

  test('a hostPath is where it says, and its content stays', () =>
    withTempDir(async (dir) => {
      const host = join(dir, 'host');
      const all = createVolumes({ dir: join(dir, 'pods') });
      const own = podOf('u2', { volumes: [{ name: 'h', hostPath: { path: host, type: 'DirectoryOrCreate' } }] });
      await all.mount(own, new Map());
      expect(all.path(own, 'h')).toBe(host);
      await writeFile(join(host, 'x'), '');
      await all.remove('u2');
      expect(await readdir(host)).toEqual(['x']);
    }));
});
