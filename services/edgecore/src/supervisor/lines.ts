// Cuts a stream of text into lines. Bounded: a line that never ends is given out in pieces.

const MAX_LINE = 16_384;

export interface LineSplitter {
  push(text: string): void;
  /** Gives out what is left. */
  end(): void;
}

export function createLineSplitter(onLine: (line: string) => void): LineSplitter {
  let rest = '';
  return {
    push(text) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(line);
      for (; rest.length > MAX_LINE; rest = rest.slice(MAX_LINE)) onLine(rest.slice(0, MAX_LINE));
    },
    end() {
      if (rest !== '') onLine(rest);
      rest = '';
    },
  };
}
