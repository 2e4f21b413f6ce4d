// How controllers delete: by the same rules as a client's DELETE.
import type { Clock } from '@skerry/common/clock';
import { rfc3339 } from '../api/time.js';
import { deleteObject } from '../operations/delete.js';
import type { Registry } from '../registry/registry.js';
import type { DeleteObject } from './access.js';

export interface DeleterOptions {
  readonly registry: Pick<Registry, 'findCollection'>;
  readonly clock: Clock;
  readonly newUid: () => string;
}

/** What is gone already, or of a type that is not served any more, is left as it is. */
export function createDeleter({ registry, clock, newUid }: DeleterOptions): DeleteObject {
  return (tx, { key }, { graceSeconds, propagation }) => {
    const type = registry.findCollection(key.collection);
    if (type === undefined || tx.get(key) === undefined) return;
    const options = {
      ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
      ...(propagation === undefined ? {} : { propagation }),
    };
    deleteObject(type, key.namespace, key.name, options, { tx, now: rfc3339(clock.nowMs()), newUid, warn: () => {} });
  };
}
