// What a fake container is told to do. Written by tests as an object, or by people as a Pod annotation: fake.skerry.dev/script holds JSON
// with a script per container name, "*" for the others.
import { messageOf, SkerryError } from '@skerry/common/errors';

const SCRIPT_ANNOTATION = 'fake.skerry.dev/script';

export interface FakeScript {
  /** From start until it runs, ms. */
  readonly startDelayMs?: number;
  /** It ends by itself this long after it runs; never when not given. */
  readonly exitAfterMs?: number;
  /** Of that end; 0 when not given. */
  readonly exitCode?: number;
  /** That end is the kernel's doing: out of memory. */
  readonly oom?: boolean;
  /** Only the first so many attempts end by themselves; those after them run on. */
  readonly times?: number;
  /** From SIGTERM until it ends, ms; "never" waits for SIGKILL. */
  readonly stopDelayMs?: number | 'never';
  /** The image cannot be had, for this reason. */
  readonly pullError?: string;
  /** The command cannot be started, for this reason. */
  readonly startError?: string;
}

export type FakeScripts = Readonly<Record<string, FakeScript>>;

export function scriptFor(scripts: FakeScripts, container: string): FakeScript {
  return (Object.hasOwn(scripts, container) ? scripts[container] : scripts['*']) ?? {};
}

/** Throws `invalid_argument` for an annotation that is not a JSON object. */
export function parseScripts(annotations: Readonly<Record<string, string>>): FakeScripts {
  const text = annotations[SCRIPT_ANNOTATION];
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as FakeScripts;
    throw new Error('it is not an object');
  } catch (error) {
    throw new SkerryError('invalid_argument', `annotation ${SCRIPT_ANNOTATION} is not usable: ${messageOf(error)}`);
  }
}
