// The user that workloads run under: a name of /etc/passwd, or "uid:gid".
// Invariant: a user that cannot be had is an error when the engine starts, never a silent run as the engine's own.
import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SkerryError } from '@skerry/common/errors';
import type { HostUser } from '../runtime.js';

/** Throws `invalid_argument` for a user that does not exist, `permission_denied` when the engine cannot become it. */
export async function resolveUser(text: string, self: HostUser): Promise<HostUser> {
  const user = numeric(text) ?? (await byName(text));
  if (self.uid !== 0 && (user.uid !== self.uid || user.gid !== self.gid)) {
    throw new SkerryError(
      'permission_denied',
      `workloads cannot run as ${text}: the engine runs as user ${self.uid}, and only root can start processes of others`,
    );
  }
  return user;
}

function numeric(text: string): HostUser | undefined {
  const match = /^(\d{1,10}):(\d{1,10})$/.exec(text);
  return match ? { uid: Number(match[1]), gid: Number(match[2]) } : undefined;
}

async function byName(name: string): Promise<HostUser> {
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user === name && name !== '') return { uid: Number(uid), gid: Number(gid) };
  }
  throw new SkerryError('invalid_argument', `there is no user "${name}" in /etc/passwd: give another, or uid:gid`);
}

/** Throws `failed_precondition` naming the first folder above `dir` that the user may not pass through. */
export async function checkPassage(dir: string, user: HostUser): Promise<void> {
  if (user.uid === 0) return;
  for (let at = dir; ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) {
      throw new SkerryError(
        'failed_precondition',
        `workloads run as user ${user.uid}, who cannot enter ${at}: allow it (chmod o+x) or choose another state folder`,
      );
    }
    if (at === dirname(at)) return;
  }
}
