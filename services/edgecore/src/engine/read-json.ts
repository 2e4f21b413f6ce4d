// Small JSON files that are written whole, by rename.
import { readFile } from 'node:fs/promises';
import { systemCode } from '@skerry/common/errors';

/** Undefined when there is no such file, or none that can be read as JSON: it is as good as not written. */
export async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR' || error instanceof SyntaxError)
      return undefined;
    throw error;
  }
}
