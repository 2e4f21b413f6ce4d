// The JSONPath subset of printer columns: `.a.b`, `['a.b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`. Pure.
import { isObject, own, showValue } from '../api/objects.js';

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly string[]; readonly equal: boolean; readonly value: string };

export type JsonPath = (value: unknown) => readonly unknown[];

const STEP =
  /\.([A-Za-z_$][-\w$/]*(?:\\\.[-\w$/]+)*)|\[['"]((?:[^'"\\]|\\.)*)['"]\]|\[(-?\d+)\]|\[(\*)\]|\.(\*)|\[\?\(@((?:\.[-\w]+)+)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([^)\s]+))\)\]/y;

/** Undefined when `text` is outside the subset. */
export function compileJsonPath(text: string): JsonPath | undefined {
  const source = text.startsWith('.') || text.startsWith('[') ? text : `.${text}`;
  const steps: Step[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < source.length) {
    const match = STEP.exec(source);
    if (match === null) return undefined;
    steps.push(toStep(match));
  }
  return (value) =>
    steps.reduce<readonly unknown[]>((found, step) => found.flatMap((item) => take(step, item)), [value]);
}

function toStep(match: RegExpExecArray): Step {
  const [, plain, quoted, index, all, dotAll, path, operator, ...values] = match;
  const name = plain ?? quoted;
  if (name !== undefined) return { kind: 'field', name: name.replace(/\\(.)/g, '$1') };
  if (index !== undefined) return { kind: 'index', index: Number(index) };
  if (all !== undefined || dotAll !== undefined) return { kind: 'all' };
  const value = values.find((item) => item !== undefined) ?? '';
  return { kind: 'filter', path: (path ?? '').split('.').slice(1), equal: operator === '==', value };
}

function take(step: Step, value: unknown): readonly unknown[] {
  switch (step.kind) {
    case 'field': {
      const found = isObject(value) ? own(value, step.name) : undefined;
      return found === undefined ? [] : [found];
    }
    case 'index':
      return Array.isArray(value) && value.at(step.index) !== undefined ? [value.at(step.index)] : [];
    case 'all':
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
    case 'filter':
      return Array.isArray(value) ? value.filter((item) => passes(step, item)) : [];
    default:
      return step satisfies never;
  }
}

function passes(step: Step & { kind: 'filter' }, item: unknown): boolean {
  let current: unknown = item;
  for (const key of step.path) current = isObject(current) ? own(current, key) : undefined;
  return current !== undefined && (showValue(current) === step.value) === step.equal;
}
