import { describe, expect, test } from '@jest/globals';
import { parseConfig } from './config.js';

const NEEDED = ['--hub', 'cloudhub:10000', '--instance', 'edgecontroller-0'];

describe('command line', () => {
  test('takes several hubs and names of theirs', () => {
    const argv = [...NEEDED, '--hub', 'other:10000', '--server-names', 'hub.example,10.0.0.1'];
    expect(parseConfig(argv)).toMatchObject({
      hubs: ['cloudhub:10000', 'other:10000'],
      serverNames: ['hub.example', '10.0.0.1'],
      kubeconfig: undefined,
    });
    expect(parseConfig(NEEDED).serverNames).toContain('cloudhub.skerry-system.svc');
  });

  test('takes the life of nodes’ certificates in days', () => {
    expect(parseConfig(NEEDED).nodeCertificateTtlMs).toBe(365 * 86_400_000);
    expect(parseConfig([...NEEDED, '--node-certificate-days', '0.5']).nodeCertificateTtlMs).toBe(43_200_000);
    expect(() => parseConfig([...NEEDED, '--node-certificate-days', '0'])).toThrow('--node-certificate-days');
  });

  test('refuses what it does not know', () => {
    expect(() => parseConfig([...NEEDED, '--plaintext'])).toThrow('--plaintext');
    expect(() => parseConfig([...NEEDED, '--server-names', ','])).toThrow('--server-names is empty');
  });
});
