// Where a volume is mounted, as every part of the engine compares it.
import { posix } from 'node:path';

/** A path of a container, absolute and without dots: joined to a root it stays inside. */
export function mountPoint(path: string): string {
  const normal = posix.normalize(`/${path}`);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
