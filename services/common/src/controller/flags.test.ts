import { describe, expect, test } from '@jest/globals';
import { controllerFlags } from './flags.js';

const GIVEN = { hub: ['cloudhub:10000', '[::1]:443'], instance: 'edgecontroller-0', 'log-level': 'info' };

describe('flags of a controller', () => {
  test('are taken over', () => {
    expect(controllerFlags(GIVEN)).toEqual({
      kubeconfig: undefined,
      hubs: ['cloudhub:10000', '[::1]:443'],
      instance: 'edgecontroller-0',
      healthSocket: undefined,
      logLevel: 'info',
    });
  });

  test.each([
    [{ hub: [] }, '--hub is missing'],
    [{ hub: ['cloudhub'] }, '--hub "cloudhub" is not host:port'],
    [{ instance: undefined }, '--instance is missing'],
    [{ instance: 'Edge_0' }, 'is no DNS label'],
  ])('%j: %s', (changes, message) => {
    expect(() => controllerFlags({ ...GIVEN, ...changes })).toThrow(message);
  });
});
