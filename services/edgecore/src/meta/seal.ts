// Encryption of Secrets in the store: AES-256-GCM under a key that lies beside the node's own key, so that a copy of the store alone tells
// nothing. It is no protection against root on the node. Invariant: the text is bound to its place (key and version), so sealed values
// cannot be swapped.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SkerryError, systemCode } from '@skerry/common/errors';
import { privateFolder, quarantine, writeFileAtomic } from '../disk/files.js';

const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

export interface Sealer {
  seal(plain: Uint8Array, place: string): Uint8Array;
  /** Throws `data_loss` when the text was changed, moved, or sealed under another key. */
  open(sealed: Uint8Array, place: string): Uint8Array;
}

export function createSealer(key: Uint8Array): Sealer {
  return {
    seal(plain, place) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(Buffer.from(place));
      const text = Buffer.concat([cipher.update(plain), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), text]);
    },
    open(sealed, place) {
      try {
        const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
        decipher.setAAD(Buffer.from(place)).setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
        return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
      } catch (error) {
        throw new SkerryError('data_loss', `a sealed value cannot be opened with this key`, { cause: error });
      }
    },
  };
}

/**
 * The key of a file, made when there is none. A file that is no key is set aside: what was sealed under the lost key cannot be opened, and
 * the store that holds it goes the same way.
 */
export async function loadStoreKey(path: string, nowMs: number): Promise<Uint8Array> {
  const found = await readFile(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw new SkerryError('failed_precondition', `cannot read the store's key ${path}`, { cause: error });
  });
  if (found?.length === KEY_BYTES) return found;
  if (found) await quarantine(path, nowMs);
  const key = randomBytes(KEY_BYTES);
  await privateFolder(dirname(path));
  await writeFileAtomic(path, key);
  return key;
}
