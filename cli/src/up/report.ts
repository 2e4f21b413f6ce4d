// What `skerry up` prints: a line a step with the time it took. Plain text when nobody watches.
import type { Clock } from '@skerry/common/clock';

export interface Report {
  /** Runs a step and prints its line; `detail` is what it returns. A step that fails prints its line and throws. */
  step<T>(title: string, work: () => Promise<T>, detail?: (result: T) => string): Promise<T>;
  section(title: string): void;
  note(text: string): void;
}

export interface ReportOptions {
  readonly write: (text: string) => void;
  readonly colour: boolean;
  readonly clock: Clock;
}

const WIDTH = 58;

export function createReport(options: ReportOptions): Report {
  const { write, clock } = options;
  const paint = (code: number, text: string): string => (options.colour ? `\u001b[${code}m${text}\u001b[0m` : text);

  return {
    async step(title, work, detail) {
      const startMs = clock.monotonicMs();
      const took = (): string => `${((clock.monotonicMs() - startMs) / 1000).toFixed(2)} s`.padStart(8);
      // On a terminal the step is shown while it runs, then overwritten.
      if (options.colour) write(`  … ${title}`);
      try {
        const result = await work();
        const text = detail?.(result);
        write(
          `${options.colour ? '\r\u001b[K' : ''}  ${paint(32, '✓')} ${title.padEnd(WIDTH)} ${took()}${text ? `  ${text}` : ''}\n`,
        );
        return result;
      } catch (error) {
        write(`${options.colour ? '\r\u001b[K' : ''}  ${paint(31, '✗')} ${title.padEnd(WIDTH)} ${took()}\n`);
        throw error;
      }
    },
    section: (title) => write(`\n${paint(1, title)}\n`),
    note: (text) => write(`${text}\n`),
  };
}
