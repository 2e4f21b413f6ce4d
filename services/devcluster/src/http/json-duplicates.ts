// Finds fields that a JSON text gives twice. JSON.parse silently takes the last one; the API has to report it.

/** Field paths (`spec.replicas`, `spec.containers[0].name`) of repeated keys. `text` is known to be valid JSON. */
export function findDuplicates(text: string): string[] {
  const found: string[] = [];
  let position = 0;

  function skipSpace(): void {
    while (position < text.length && text.charCodeAt(position) <= 32) position += 1;
  }

  /** The raw text between the quotes. */
  function readString(): string {
    const start = ++position;
    while (text[position] !== '"') position += text[position] === '\\' ? 2 : 1;
    return text.slice(start, position++);
  }

  function skipScalar(): void {
    while (position < text.length && !',]}'.includes(text[position] ?? '') && text.charCodeAt(position) > 32)
      position += 1;
  }

  function readValue(path: string): void {
    skipSpace();
    const first = text[position];
    if (first === '{') readObject(path);
    else if (first === '[') readList(path);
    else if (first === '"') readString();
    else skipScalar();
    skipSpace();
  }

  function readObject(path: string): void {
    const keys = new Set<string>();
    position += 1;
    skipSpace();
    while (text[position] !== '}') {
      skipSpace();
      const raw = readString();
      const key = raw.includes('\\') ? String(JSON.parse(`"${raw}"`)) : raw;
      const field = path === '' ? key : `${path}.${key}`;
      if (keys.has(key)) found.push(field);
      keys.add(key);
      skipSpace();
      position += 1; // the colon
      readValue(field);
      if (text[position] === ',') position += 1;
    }
    position += 1;
  }

  function readList(path: string): void {
    position += 1;
    skipSpace();
    for (let index = 0; text[position] !== ']'; index++) {
      readValue(`${path}[${index}]`);
      if (text[position] === ',') position += 1;
    }
    position += 1;
  }

  readValue('');
  return found;
}
