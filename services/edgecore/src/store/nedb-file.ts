// A nedb datastore in a checked line file: each line with its checksum, private, and nothing that cannot be read accepted.
import Datastore from 'nedb-promises';
import { decodeLine, encodeLine } from './line-file.js';

/** nedb-promises has it and does not declare it: rewrites the file from memory. */
export type NedbFile<T> = Datastore<T> & { compactDatafileAsync(): Promise<void> };

/** Not loaded yet. */
export function nedbFile<T>(filename: string): NedbFile<T> {
  return Datastore.create({
    filename,
    corruptAlertThreshold: 0,
    afterSerialization: encodeLine,
    beforeDeserialization: decodeLine,
    modes: { fileMode: 0o600, dirMode: 0o700 },
  } as Parameters<typeof Datastore.create>[0]) as NedbFile<T>;
}
