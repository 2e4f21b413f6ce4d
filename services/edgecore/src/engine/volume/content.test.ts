import { describe, expect, test } from '@jest/globals';
import { configMapKey, secretKey } from '@skerry/common/keys';
import type { References, VolumeDef } from '../pod/types.js';
import { podOf } from '../testing/pods.js';
import { contentOf } from './content.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const references: References = new Map([
  [configMapKey('default', 'cm'), { data: { a: 'A' }, binaryData: { b: base64('B') } }],
  [secretKey('default', 'sec'), { data: { key: base64('K') } }],
  [configMapKey('default', 'gone'), null],
]);

function show(volume: Omit<VolumeDef, 'name'>): unknown {
  const content = contentOf(podOf('u1'), { name: 'v', ...volume }, references);
  if (content?.kind !== 'files') return content?.message;
  return content.files.map(({ path, data, mode }) => `${path}=${data.toString()} ${mode.toString(8)}`);
}

describe('volume content', () => {
  test('all keys of a ConfigMap', () => expect(show({ configMap: { name: 'cm' } })).toEqual(['a=A 644', 'b=B 644']));
  test('all keys of a Secret, with a mode', () =>
    expect(show({ secret: { secretName: 'sec', defaultMode: 0o400 } })).toEqual(['key=K 400']));
  test('chosen items under other names and modes', () =>
    expect(
      show({
        configMap: {
          name: 'cm',
          items: [
            { key: 'b', path: 'dir/x', mode: 0o600 },
            { key: 'a', path: 'y' },
          ],
        },
      }),
    ).toEqual(['dir/x=B 600', 'y=A 644']));
  test('missing sources and keys', () => {
    expect(show({ configMap: { name: 'gone' } })).toBe('configmap "gone" not found');
    expect(show({ secret: { secretName: 'none' } })).toBe('secret "none" not found');
    expect(show({ configMap: { name: 'cm', items: [{ key: 'z', path: 'z' }] } })).toContain('no key "z"');
  });
  test('optional ones are empty', () => {
    expect(show({ configMap: { name: 'gone', optional: true } })).toEqual([]);
    expect(show({ configMap: { name: 'cm', optional: true, items: [{ key: 'z', path: 'z' }] } })).toEqual([]);
  });
  test.each(['../x', '/x', 'a/../../x', '..data', 'a//b', 'a/./b'])('the path %s is refused', (path) =>
    expect(show({ configMap: { name: 'cm', items: [{ key: 'a', path }] } })).toContain('leaves the volume'),
  );
  test('other volumes have no content of ours', () => expect(show({ emptyDir: {} })).toBeUndefined());
});
