// Label selectors: `a=b,c!=d,e in (x,y),f notin (z),g,!h`, and the LabelSelector object's expressions.
import { labelValue, qualifiedName } from '../api/names.js';
import { badRequest } from '../api/status.js';

export type Matcher = (labels: Readonly<Record<string, string>>) => boolean;

type Operator = 'in' | 'notin' | 'exists' | 'absent' | 'gt' | 'lt';

interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

const TOKEN = /\s*(?:(!=|==|=|!|,|\(|\)|>|<)|([^\s!=,()<>]+))/y;

/** Throws 400 BadRequest when `text` is no selector. An empty text matches everything. */
export function parseLabelSelector(text: string): Matcher {
  const tokens = tokenize(text);
  const requirements: Requirement[] = [];
  let position = 0;
  const peek = (): string | undefined => tokens[position];
  const take = (): string => tokens[position++] ?? '';

  function takeValues(): string[] {
    if (take() !== '(') throw unparsable(text, "expected '(' before the values");
    const values: string[] = [];
    for (;;) {
      const token = take();
      if (token === ')') return values;
      if (token === '') throw unparsable(text, "expected ')' after the values");
      if (token !== ',') values.push(token);
    }
  }

  function takeRequirement(): Requirement {
    if (peek() === '!') {
      take();
      return { key: take(), operator: 'absent', values: [] };
    }
    const key = take();
    const operator = peek();
    if (operator === undefined || operator === ',') return { key, operator: 'exists', values: [] };
    take();
    if (operator === 'in' || operator === 'notin') return { key, operator, values: takeValues() };
    const value = peek() === undefined || peek() === ',' ? '' : take();
    if (operator === '=' || operator === '==') return { key, operator: 'in', values: [value] };
    if (operator === '!=') return { key, operator: 'notin', values: [value] };
    if (operator === '>' || operator === '<') return { key, operator: operator === '>' ? 'gt' : 'lt', values: [value] };
    throw unparsable(text, `found '${operator}', expected: in, notin, =, ==, !=, >, <`);
  }

  while (position < tokens.length) {
    const requirement = takeRequirement();
    check(requirement, text);
    requirements.push(requirement);
    if (position < tokens.length && take() !== ',') throw unparsable(text, "expected ',' between requirements");
  }
  return (labels) => requirements.every((requirement) => holds(requirement, labels));
}

function tokenize(text: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  const trimmed = text.trim();
  while (TOKEN.lastIndex < trimmed.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(trimmed);
    if (match === null) throw unparsable(text, `unexpected '${trimmed.slice(at, at + 10)}'`);
    tokens.push(match[1] ?? match[2] ?? '');
  }
  return tokens;
}

function check(requirement: Requirement, text: string): void {
  const wrongKey = qualifiedName(requirement.key);
  if (wrongKey !== undefined) throw unparsable(text, `key "${requirement.key}": ${wrongKey}`);
  for (const value of requirement.values) {
    const wrong = labelValue(value);
    if (wrong !== undefined) throw unparsable(text, `value "${value}": ${wrong}`);
  }
}

function unparsable(text: string, why: string): Error {
  return badRequest(`unable to parse requirement: ${why} (selector "${text}")`);
}

function holds({ key, operator, values }: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  switch (operator) {
    case 'in':
      return value !== undefined && values.includes(value);
    case 'notin':
      return value === undefined || !values.includes(value);
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'gt':
      return isInteger(value) && Number(value) > Number(values[0]);
    case 'lt':
      return isInteger(value) && Number(value) < Number(values[0]);
    default:
      return operator satisfies never;
  }
}

function isInteger(value: string | undefined): boolean {
  return value !== undefined && /^-?\d+$/.test(value);
}
