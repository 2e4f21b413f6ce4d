// Documents in memory, for tests: what was written survives closing, as a disk would have it.
import { SkerryError } from '@skerry/common/errors';
import type { Document, DocumentBackend } from '../types.js';

export function createMemoryBackend(): DocumentBackend {
  const kept = new Map<string, Document>();
  let opened = false;
  let used = false;
  return {
    async open() {
      if (opened) throw new SkerryError('failed_precondition', 'the store is open already');
      opened = true;
      const origin = used ? 'kept' : 'new';
      used = true;
      return { documents: [...kept.values()], origin, quarantined: 0 };
    },
    async write(documents) {
      for (const document of documents) {
        if (document.body) kept.set(document.id, document);
        else kept.delete(document.id);
      }
    },
    async close() {
      opened = false;
    },
  };
}
