// Stock MQTT clients against the embedded broker. Skipped, loudly, where they are not installed; required when SKERRY_REQUIRE names mosquitto.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { available } from '@skerry/common/testing/available';
import { deviceOf, pumpModel } from '../twin/testing/samples.js';
import { device, type Rig, until, withRig } from './testing/rig.js';

const run = promisify(execFile);
const installed = available('mosquitto', ['mosquitto_pub', '--help'], 'Debian: apt-get install mosquitto-clients');

async function withPump(fn: (rig: Rig) => Promise<void>): Promise<void> {
  await withRig(async (rig) => {
    rig.edgecore.putModel(pumpModel);
    rig.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm' }]));
    await until(() => rig.edgecore.reported.has('devicestatus/plant/pump-1'));
    await fn(rig);
  });
}

const publish = (rig: Rig, topic: string, body: string, ...more: string[]) =>
  run('mosquitto_pub', ['-h', '127.0.0.1', '-p', String(rig.port()), '-q', '1', '-t', topic, '-m', body, ...more]);

(installed ? describe : describe.skip)('mosquitto clients', () => {
  test('an update by mosquitto_pub is answered: a durable mosquitto_sub gets result, document and delta, in this order', () =>
    withPump(async (rig) => {
      const topics = ['result', 'document', 'delta'].map((rest) => device(`twin/update/${rest}`));
      const session = ['-h', '127.0.0.1', '-p', String(rig.port()), '-q', '1', '-v', '-c', '-i', 'keeper', '-W', '4'];
      const filters = topics.flatMap((topic) => ['-t', topic]);
      // -E leaves once the broker has taken the subscriptions: what comes next waits for the session.
      await run('mosquitto_sub', [...session, ...filters, '-E']);
      const body = '{"event_id":"m","twin":{"rpm":{"expected":{"value":"9"},"actual":{"value":"7"}}}}';
      await publish(rig, device('twin/update'), body);
      const { stdout } = await run('mosquitto_sub', [...session, ...filters, '-C', '3']);
      expect(
        stdout
          .trim()
          .split('\n')
          .map((line) => line.split(' ')[0]),
      ).toEqual(topics);
    }));

  test('QoS 2 works; MQTT 5 is refused with a protocol version that the broker does not speak', () =>
    withPump(async (rig) => {
      await publish(rig, device('twin/update'), '{"twin":{"rpm":{"actual":{"value":"8"}}}}', '-q', '2');
      await expect(publish(rig, 'x', 'y', '-V', 'mqttv5')).rejects.toThrow(/protocol version/i);
    }));
});
