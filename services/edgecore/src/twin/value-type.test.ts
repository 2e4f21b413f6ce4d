import { describe, expect, test } from '@jest/globals';
import { fits, isNumeric, parseType, sameValue, typeOfModel, type ValueType } from './value-type.js';

describe('types', () => {
  test.each<[ValueType, string[], string[]]>([
    [
      'int',
      ['0', '-1', '+7', '007', '9223372036854775807', '-9223372036854775808'],
      ['', '1.0', '1e3', ' 1', '9223372036854775808', '0x10', 'ten'],
    ],
    ['integer', ['42'], ['42.0']],
    ['float', ['0', '-1.5', '.5', '5.', '1e-7', 'NaN', '-inf', 'Infinity'], ['', '1,5', '1e999', '0x1p3', 'e5', '--1']],
    ['double', ['3.14159265358979'], ['pi']],
    ['boolean', ['true', 'false'], ['True', '1', '', 'yes']],
    ['string', ['', 'any thing: ä {} " \n'], []],
    ['bytes', ['', 'AAEC'], []],
  ])('%s takes %j and not %j', (type, good, bad) => {
    for (const value of good) expect([value, fits(type, value)]).toEqual([value, true]);
    for (const value of bad) expect([value, fits(type, value)]).toEqual([value, false]);
  });

  test('names: of MQTT messages, empty is a string, unknown is none', () => {
    expect(['', 'string', 'integer', 'bytes'].map(parseType)).toEqual(['string', 'string', 'integer', 'bytes']);
    expect(['deleted', 'INT', 'toString'].map(parseType)).toEqual([undefined, undefined, undefined]);
  });

  test('names: of models', () => {
    expect(typeOfModel('DOUBLE')).toBe('double');
    expect(typeOfModel('STREAM')).toBe('string');
    expect(typeOfModel('toString' as 'INT')).toBeUndefined();
    expect(
      (['int', 'integer', 'float', 'double', 'string', 'boolean', 'bytes'] as const).filter(isNumeric),
    ).toHaveLength(4);
  });
});

describe('sameValue', () => {
  test.each<[ValueType, string, string, boolean]>([
    ['float', '21.5', '21.50', true],
    ['float', 'nan', 'nan', true],
    ['float', '21.5', '21.6', false],
    ['int', '+7', '007', true],
    ['int', '9007199254740993', '9007199254740992', false],
    ['string', '1', '1.0', false],
    ['boolean', 'true', 'true', true],
    ['double', '1', 'rubbish', false],
  ])('%s: %j and %j', (type, a, b, same) => expect(sameValue(type, a, b)).toBe(same));
});
