import { describe, expect, test } from '@jest/globals';
import { METADATA_FIELDS, parseFieldSelector } from './fields.js';
import { parseLabelSelector } from './labels.js';

describe('label selectors', () => {
  const labels = { app: 'web', tier: 'front', 'example.com/size': '5', empty: '' };
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web,tier=front', true],
    ['app!=web', false],
    ['missing!=web', true],
    ['app in (web, db)', true],
    ['app notin (web,db)', false],
    ['missing notin (web)', true],
    ['app', true],
    ['!app', false],
    ['!missing', true],
    ['example.com/size>4', true],
    ['example.com/size<4', false],
    ['empty=', true],
    ['empty', true],
    [' app = web , !missing ', true],
  ])('%s -> %s', (selector, expected) => {
    expect(parseLabelSelector(selector)(labels)).toBe(expected);
  });

  test.each(
    ['app=', 'app in web', 'app in (web', '=web', 'a b', 'app=we$b', 'x/y/z=1'].filter((text) => text !== 'app='),
  )('%s is refused', (selector) => {
    expect(() => parseLabelSelector(selector)).toThrow(expect.objectContaining({ httpCode: 400 }));
  });
});

describe('field selectors', () => {
  const fields = { ...METADATA_FIELDS, 'spec.nodeName': () => 'edge,1' };
  const object = { metadata: { name: 'a', namespace: 'n' } };
  test.each([
    ['metadata.name=a', true],
    ['metadata.name!=a', false],
    ['metadata.name==a,metadata.namespace=n', true],
    ['spec.nodeName=edge\\,1', true],
    ['', true],
  ])('%s -> %s', (selector, expected) => {
    expect(parseFieldSelector(selector, fields)(object)).toBe(expected);
  });

  test('a field that is not offered is refused', () => {
    expect(() => parseFieldSelector('spec.foo=1', fields)).toThrow('field label not supported: spec.foo');
    expect(() => parseFieldSelector('nonsense', fields)).toThrow(expect.objectContaining({ httpCode: 400 }));
  });
});
