// Who may connect to the embedded broker and what they may subscribe to. Invariants: connected clients, sessions and subscriptions are bounded;
// a refusal uses the code that MQTT 3.1.1 has for it.
import { messageOf } from '@skerry/common/errors';
import type { AedesOptions, AuthenticateError, Client } from 'aedes';
import type { Counters } from './counters.js';
import type { OccasionalLog } from './occasional-log.js';
import type { BoundedSessions } from './sessions.js';

const MAX_CLIENT_ID_BYTES = 256;
const MAX_SUBSCRIPTIONS = 1_000;
const MAX_FILTER_BYTES = 1_024;

/** Return codes of CONNACK, MQTT 3.1.1 section 3.2.2.3. */
const IDENTIFIER_REJECTED = 2;
const SERVER_UNAVAILABLE = 3;

export interface AdmissionOptions {
  readonly sessions: BoundedSessions;
  /** Connected clients by id; kept by admission. */
  readonly online: Map<string, Client>;
  readonly maxClients: number;
  readonly counters: Counters;
  readonly log: OccasionalLog;
}

export interface Admission {
  readonly authenticate: NonNullable<AedesOptions['authenticate']>;
  readonly authorizeSubscribe: NonNullable<AedesOptions['authorizeSubscribe']>;
  /** The client was admitted and holds its id now. */
  joined(client: Client): void;
  /** The client's connection ended. */
  left(client: Client): void;
  unsubscribed(filters: readonly string[], client: Client): void;
}

interface ConnectRefusal {
  readonly code: number;
  readonly reason: string;
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { sessions, online, counters, log } = options;
  const filtersOf = new WeakMap<Client, Set<string>>();

  const authenticate: Admission['authenticate'] = (client, _username, _password, done) => {
    admit(client).then(
      (refusal) => {
        if (!refusal) {
          done(null, true);
          return;
        }
        counters.refusedClients += 1;
        log.warn('client refused', { client: client.id.slice(0, MAX_CLIENT_ID_BYTES), reason: refusal.reason });
        done(connectError(refusal), null);
      },
      (error: unknown) => {
        log.warn('a session cannot be stored', { error: messageOf(error) });
        done(connectError({ code: SERVER_UNAVAILABLE, reason: 'a session cannot be stored' }), null);
      },
    );
  };

  async function admit({ id, clean }: Client): Promise<ConnectRefusal | undefined> {
    if (Buffer.byteLength(id) > MAX_CLIENT_ID_BYTES) {
      return { code: IDENTIFIER_REJECTED, reason: `the client id is longer than ${MAX_CLIENT_ID_BYTES} bytes` };
    }
    // A client that connects again takes its own place.
    if (online.size >= options.maxClients && !online.has(id)) {
      return { code: SERVER_UNAVAILABLE, reason: `${options.maxClients} clients are connected` };
    }
    if (clean) await sessions.forget(id);
    else if (!(await sessions.admit(id))) return { code: SERVER_UNAVAILABLE, reason: 'all sessions are in use' };
    return undefined;
  }

  const authorizeSubscribe: Admission['authorizeSubscribe'] = (client, subscription, done) => {
    const filters = filtersOf.get(client) ?? new Set<string>();
    filtersOf.set(client, filters);
    const { topic } = subscription;
    if (Buffer.byteLength(topic) > MAX_FILTER_BYTES || (filters.size >= MAX_SUBSCRIPTIONS && !filters.has(topic))) {
      counters.refusedSubscriptions += 1;
      log.warn('subscription refused: too long or too many', { client: client.id, subscriptions: filters.size });
      done(null, null);
      return;
    }
    filters.add(topic);
    done(null, subscription);
  };

  function left(client: Client): void {
    if (online.get(client.id) === client) online.delete(client.id);
    if (client.clean) return;
    sessions
      .touch(client.id)
      .catch((error: unknown) => log.warn('a session cannot be stored', { error: messageOf(error) }));
  }

  function unsubscribed(filters: readonly string[], client: Client): void {
    const kept = filtersOf.get(client);
    for (const filter of filters) kept?.delete(filter);
  }

  return {
    authenticate,
    authorizeSubscribe,
    joined: (client) => void online.set(client.id, client),
    left,
    unsubscribed,
  };
}

function connectError({ code, reason }: ConnectRefusal): AuthenticateError {
  return Object.assign(new Error(reason), { returnCode: code });
}
