// A process of a bench and its side of the conversation: commands in, answers out, over Node's IPC channel.
// Invariant: a child that cannot go on fails the bench; none outlives its parent.
import { type ChildProcess, fork } from 'node:child_process';

/** What a child serves: a command's name to its handler; arguments and answers are plain JSON. */
export type Handlers = Readonly<Record<string, (argument: never) => Promise<unknown>>>;

export interface Child {
  ask<T>(command: string, argument?: unknown): Promise<T>;
  stop(): Promise<void>;
}

interface Request {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}

type Response = { readonly id: number } & ({ readonly answer: unknown } | { readonly error: string });

/** Starts a module of this folder as a process. `expose-gc` is on in it. */
export function startChild(module: string): Child {
  const child = fork(new URL(`./${module}.js`, import.meta.url), [], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const waiting = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  child.on('message', (response: Response) => {
    const call = waiting.get(response.id);
    waiting.delete(response.id);
    if ('error' in response) call?.reject(new Error(`${module}: ${response.error}`));
    else call?.resolve(response.answer as never);
  });
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`${module} exited with ${code}`));
    waiting.clear();
  });
  return {
    ask: (command, argument) =>
      new Promise((resolve, reject) => {
        lastId += 1;
        waiting.set(lastId, { resolve, reject });
        child.send({ id: lastId, command, argument } satisfies Request);
      }),
    stop: () => exited(child),
  };
}

function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

/** The child's side. */
export function serveParent(handlers: Handlers): void {
  process.on('message', ({ id, command, argument }: Request) => {
    const handler = handlers[command];
    const work = handler ? handler(argument as never) : Promise.reject(new Error(`no command ${command}`));
    work.then(
      (answer) => process.send?.({ id, answer } satisfies Response),
      (error: unknown) => process.send?.({ id, error: String(error) } satisfies Response),
    );
  });
  process.on('disconnect', () => process.exit(0));
}

/** Resident memory in bytes once garbage is collected. */
export async function settledMemory(): Promise<number> {
  for (let round = 0; round < 4; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return process.memoryUsage.rss();
}
