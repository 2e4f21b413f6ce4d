import { describe, expect, test } from '@jest/globals';
import { parseManifests, resourceNamed } from '../kube.js';
import { compileUpOptions } from './options.js';

describe('flags of skerry up', () => {
  test('have defaults', () => {
    expect(compileUpOptions([])).toMatchObject({
      once: false,
      stateDir: undefined,
      mqttPort: 1884,
      cutSeconds: 10,
      cutMode: 'cut',
    });
  });

  test.each([
    [['--cut-seconds', '0'], '--cut-seconds is "0"'],
    [['--mqtt-port', 'x'], '--mqtt-port is "x"'],
    [['--page-port', '70000'], '--page-port is "70000"'],
    [['--cut-mode', 'burn'], '--cut-mode is "burn"'],
    [['--nonsense'], 'known flags'],
    [['word'], 'word'],
  ])('refuse %j', (argv, message) => {
    expect(() => compileUpOptions(argv)).toThrow(message);
  });
});

describe('manifests', () => {
  test('hold several documents, empty ones left out', () => {
    const objects = parseManifests('kind: Pod\nmetadata: {name: a}\n---\n---\nkind: Secret\n', 'x.yaml');
    expect(objects.map((object) => object.kind)).toEqual(['Pod', 'Secret']);
  });

  test('that are broken name the file', () => {
    expect(() => parseManifests('a: [', 'x.yaml')).toThrow('x.yaml');
    expect(() => parseManifests('just text', 'x.yaml')).toThrow('x.yaml: a document without kind');
  });

  test('resources are known by plural and kind', () => {
    expect(resourceNamed('Pods').kind).toBe('Pod');
    expect(resourceNamed('devicestatus').plural).toBe('devicestatuses');
    expect(() => resourceNamed('gizmos')).toThrow('unknown resource "gizmos"');
  });
});
