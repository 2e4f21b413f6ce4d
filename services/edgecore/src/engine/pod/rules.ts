// What a rule about a Pod's field can say, and how an object is held against a table of rules.
// Invariant: a field that no table knows is refused, so that nothing a Pod asks for is dropped in silence.
import type { RuntimeProfile } from '../runtime/runtime.js';

export type Rule =
  | { readonly kind: 'supported'; readonly note?: string }
  | { readonly kind: 'ignored'; readonly because: string }
  /** Empty values (false, "", [], {}) ask for nothing and pass. */
  | { readonly kind: 'refused'; readonly because: string }
  /** Some values pass; `check` returns why one does not. */
  | { readonly kind: 'checked'; readonly accepts: string; readonly check: Check }
  | { readonly kind: 'object'; readonly fields: Table }
  | { readonly kind: 'list'; readonly fields: Table };

export type Check = (value: unknown, runtime: RuntimeProfile) => string | undefined;
export type Table = Readonly<Record<string, Rule>>;

/** A field that the node cannot honour. */
export interface Violation {
  /** For example `spec.containers[0].livenessProbe`. */
  readonly path: string;
  readonly because: string;
}

export const supported = (note?: string): Rule =>
  note === undefined ? { kind: 'supported' } : { kind: 'supported', note };
export const ignored = (because: string): Rule => ({ kind: 'ignored', because });
export const refused = (because: string): Rule => ({ kind: 'refused', because });
export const checked = (accepts: string, check: Check): Rule => ({ kind: 'checked', accepts, check });
export const object = (fields: Table): Rule => ({ kind: 'object', fields });
export const list = (fields: Table): Rule => ({ kind: 'list', fields });

/** Passes only the listed values. */
export function only(values: readonly (string | boolean | number)[], because: string): Rule {
  const accepts = values.map((value) => JSON.stringify(value)).join(', ');
  return checked(accepts, (value) => (values.includes(value as string) ? undefined : because));
}

/** Refused where workloads share the host, supported where they are isolated. */
export function isolatedOnly(because: string): Rule {
  return checked('anything on runtimes that isolate', (value, runtime) =>
    runtime.sharesHost && !isEmpty(value) ? because : undefined,
  );
}

/** Every violation in `value`, in the order of its fields. */
export function violations(value: unknown, fields: Table, path: string, runtime: RuntimeProfile): Violation[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    if (member === undefined || member === null) return [];
    const rule = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return apply(rule ?? refused('this node does not know the field'), member, `${path}.${name}`, runtime);
  });
}

function apply(rule: Rule, value: unknown, path: string, runtime: RuntimeProfile): Violation[] {
  switch (rule.kind) {
    case 'supported':
    case 'ignored':
      return [];
    case 'refused':
      return isEmpty(value) ? [] : [{ path, because: rule.because }];
    case 'checked': {
      const because = rule.check(value, runtime);
      return because === undefined ? [] : [{ path, because }];
    }
    case 'object':
      return violations(value, rule.fields, path, runtime);
    case 'list':
      return asArray(value).flatMap((item, i) => violations(item, rule.fields, `${path}[${i}]`, runtime));
  }
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isEmpty(value: unknown): boolean {
  if (value === false || value === '') return true;
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}
