// Structured logs: a constant message plus fields, one JSON object a line on standard error.
// Invariant: no secret and no payload ever becomes a field; bounded text only.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly write: (line: string) => void;
  readonly nowMs: () => number;
  readonly fields?: LogFields;
}

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const MAX_TEXT = 2_000;

export function isLogLevel(text: string): text is LogLevel {
  return Object.hasOwn(ORDER, text);
}

export function createLogger(options: LoggerOptions): Logger {
  const emit = (level: LogLevel, message: string, fields: LogFields | undefined): void => {
    if (ORDER[level] < ORDER[options.level]) return;
    const time = new Date(options.nowMs()).toISOString();
    options.write(JSON.stringify({ time, level, message, ...options.fields, ...fields }, replacer));
  };
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
    child: (fields) => createLogger({ ...options, fields: { ...options.fields, ...fields } }),
  };
}

/** Drops everything: for tests and for code that is handed no logger. */
export function nullLogger(): Logger {
  const drop = (): void => {};
  const logger: Logger = { debug: drop, info: drop, warn: drop, error: drop, child: () => logger };
  return logger;
}

/** JSON cannot carry errors and bigints; long text is cut so that no line grows without a bound. */
function replacer(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return { error: value.message, code: (value as { code?: unknown }).code };
  if (typeof value === 'string' && value.length > MAX_TEXT) return `${value.slice(0, MAX_TEXT)}... (${value.length})`;
  return value;
}
