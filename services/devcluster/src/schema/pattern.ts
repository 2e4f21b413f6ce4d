// Patterns in schemas are written for Go's RE2; nearly all mean the same as JavaScript regular expressions.

/** Undefined when `pattern` is no regular expression. */
export function compilePattern(pattern: string): RegExp | undefined {
  const insensitive = pattern.startsWith('(?i)');
  const source = insensitive ? pattern.slice(4) : pattern;
  // Unicode mode refuses needless escapes such as `\-`, which RE2 takes.
  for (const flags of ['u', '']) {
    try {
      return new RegExp(source, insensitive ? `${flags}i` : flags);
    } catch {}
  }
  return undefined;
}
