// Where things of the process runtime are: <dir>/<pod uid>/sandbox.json, <dir>/<pod uid>/<container>/root/ (its files, kept over restarts) and
// <dir>/<pod uid>/<container>/<attempt>/ (one container). A container's id says all three.
// Invariant: no part of an id leaves its folder.
import { join } from 'node:path';
import { SkerryError } from '@skerry/common/errors';
import type { ContainerLabels } from '../runtime.js';

const UID = /^[A-Za-z0-9][A-Za-z0-9.-]{0,127}$/;
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

export interface ContainerId {
  readonly podUid: string;
  readonly container: string;
  readonly attempt: number;
}

/** Names and UIDs hold no underscore, so the id can be taken apart again. */
export function containerId(labels: ContainerLabels): string {
  return `${checkUid(labels.pod.uid)}_${checkName(labels.container)}_${labels.attempt}`;
}

export function parseContainerId(id: string): ContainerId {
  const [podUid = '', container = '', attempt = '', ...rest] = id.split('_');
  if (rest.length > 0 || !/^\d{1,9}$/.test(attempt))
    throw new SkerryError('invalid_argument', `"${id.slice(0, 200)}" is not the id of a process container`);
  return { podUid: checkUid(podUid), container: checkName(container), attempt: Number(attempt) };
}

export const podDir = (dir: string, podUid: string): string => join(dir, checkUid(podUid));
export const rootDir = (dir: string, podUid: string, container: string): string =>
  join(podDir(dir, podUid), checkName(container), 'root');

export function containerDir(dir: string, id: string): string {
  const { podUid, container, attempt } = parseContainerId(id);
  return join(podDir(dir, podUid), container, String(attempt));
}

export const isPodUid = (text: string): boolean => UID.test(text);

function checkUid(uid: string): string {
  if (!isPodUid(uid)) throw new SkerryError('invalid_argument', `"${uid.slice(0, 200)}" is not a usable Pod UID`);
  return uid;
}

function checkName(name: string): string {
  if (!NAME.test(name)) throw new SkerryError('invalid_argument', `"${name.slice(0, 200)}" is not a container's name`);
  return name;
}
