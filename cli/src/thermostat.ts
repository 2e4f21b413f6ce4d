// A simulated thermostat: an ordinary MQTT client that knows nothing but KubeEdge's topics. It moves its temperature to the expected one and
// reports every step. Invariants: at most one report is under way, and the next one carries the newest temperature; it reconnects for ever and then
// says everything again, so that nothing depends on what was lost.
import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { connect } from 'mqtt';

export interface ThermostatOptions {
  /** "mqtt://host:port" */
  readonly brokerUrl: string;
  /** Of the Device object. */
  readonly namespace: string;
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Thermostat {
  /** Says offline, then disconnects. */
  stop(): Promise<void>;
}

const PROPERTY = 'temperature';
/** Degrees Celsius. */
const START_TEMPERATURE = 19;
const STEP = 1;
const STEP_MS = 200;
/** The node may learn of the device after the thermostat came up. */
const ASK_AGAIN_MS = 2_000;
const RECONNECT_MS = 500;
const FAREWELL_MS = 1_000;

/** Resolves at once: a broker that is away is waited for. */
export async function startThermostat(options: ThermostatOptions): Promise<Thermostat> {
  const { clock, logger } = options;
  const device = `$hw/events/device/${options.namespace}/${options.name}`;
  let actual = String(START_TEMPERATURE);
  let expected: string | undefined;
  let reported: string | undefined;
  let reporting = false;
  /** The node has answered that we are online: before it knows the device it answers nothing. */
  let online = false;
  const timers = new Map<'step' | 'ask', Timer>();

  const client = connect(options.brokerUrl, {
    clientId: `thermostat-${options.namespace}-${options.name}-${randomUUID().slice(0, 8)}`,
    protocolVersion: 4,
    reconnectPeriod: RECONNECT_MS,
    reconnectOnConnackError: true,
    resubscribe: false,
    queueQoSZero: false,
    will: { topic: `${device}/state/update`, payload: Buffer.from(body({ state: 'offline' })), qos: 1, retain: false },
  });
  client.on('connect', () => run(introduce));
  client.on('message', (topic, payload) => heard(topic, payload));
  client.on('error', (error) => logger.debug('no broker', { error: messageOf(error) }));

  /** Subscribes first, so that no change falls between the answer to `get` and the first delta. */
  async function introduce(): Promise<void> {
    logger.info('connected', { broker: options.brokerUrl });
    reported = undefined;
    expected = undefined;
    online = false;
    const topics = ['twin/update/delta', 'twin/get/result', 'twin/update/result', 'state/update/result'];
    await client.subscribeAsync(
      topics.map((rest) => `${device}/${rest}`),
      { qos: 1 },
    );
    await ask();
  }

  /** Says hello and asks for the twin until the node knows the device. */
  async function ask(): Promise<void> {
    if (!client.connected || (online && expected !== undefined)) return;
    later('ask', ASK_AGAIN_MS, () => run(ask));
    await say('state/update', { state: 'online' });
    await say('twin/get', {});
  }

  function heard(topic: string, payload: Buffer): void {
    const message = parse(payload);
    if (message.code !== undefined) {
      logger.debug('refused', { topic, code: message.code, reason: message.reason });
      return;
    }
    if (topic === `${device}/state/update/result`) online = message.device?.state === 'online';
    if (topic === `${device}/twin/get/result`) known(message);
    const wanted = message.twin?.[PROPERTY]?.expected?.value;
    if (topic === `${device}/twin/update/result` || wanted === undefined || !Number.isFinite(Number(wanted))) return;
    if (wanted !== expected) logger.info('set point', { celsius: wanted });
    expected = wanted;
    move();
  }

  /** The node knows the device: what was said before it did was not heard. */
  function known({ twin }: TwinMessage): void {
    if (twin?.[PROPERTY]?.actual?.value !== actual) reported = undefined;
    run(report);
  }

  /** One step towards the set point, and so on until it is reached. */
  function move(): void {
    if (expected === undefined || Number(expected) === Number(actual)) return;
    const way = Number(expected) - Number(actual);
    actual = Math.abs(way) <= STEP ? expected : (Number(actual) + Math.sign(way) * STEP).toFixed(1);
    run(report);
    later('step', STEP_MS, move);
  }

  async function report(): Promise<void> {
    if (reporting) return;
    reporting = true;
    try {
      while (client.connected && reported !== actual) {
        const saying = actual;
        await say('twin/update', { twin: { [PROPERTY]: { actual: { value: saying } } } });
        reported = saying;
        logger.info('temperature', { celsius: saying });
      }
    } finally {
      reporting = false;
    }
  }

  async function say(rest: string, content: object): Promise<void> {
    await client.publishAsync(`${device}/${rest}`, body(content), { qos: 1 });
  }

  function body(content: object): string {
    return JSON.stringify({ event_id: randomUUID(), timestamp: clock.nowMs(), ...content });
  }

  function later(name: 'step' | 'ask', delayMs: number, fn: () => void): void {
    timers.get(name)?.cancel();
    timers.set(name, clock.after(delayMs, fn));
  }

  function run(work: () => Promise<void>): void {
    work().catch((error: unknown) => logger.debug('not said', { error: messageOf(error) }));
  }

  /** The broker may be gone without a word: then nobody waits for its acknowledgement. */
  async function farewell(): Promise<void> {
    const patience = new AbortController();
    const saying = say('state/update', { state: 'offline' }).catch(() => {});
    await Promise.race([saying, clock.sleep(FAREWELL_MS, patience.signal).catch(() => {})]);
    patience.abort();
  }

  return {
    async stop() {
      for (const timer of timers.values()) timer.cancel();
      if (client.connected) await farewell();
      await client.endAsync(true);
    },
  };
}

interface TwinMessage {
  readonly code?: number;
  readonly reason?: string;
  readonly device?: { readonly state?: string };
  readonly twin?: Readonly<
    Record<string, { readonly expected?: { value?: string }; readonly actual?: { value?: string } } | null>
  >;
}

function parse(payload: Buffer): TwinMessage {
  try {
    return (JSON.parse(payload.toString('utf8')) ?? {}) as TwinMessage;
  } catch {
    return {};
  }
}
