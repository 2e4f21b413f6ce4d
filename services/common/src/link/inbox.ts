// Payloads that wait for the one who iterates over them. Its bound is the lane's credit, which is given back as they are taken.

export interface Inbox extends AsyncIterable<Uint8Array> {
  push(payload: Uint8Array, cost: number): void;
  /** No more will come; what waits is still handed out. */
  end(): void;
  /** Ends the iteration with an error at once and gives back what waits. */
  fail(reason: unknown): void;
}

export function createInbox(refund: (bytes: number) => void): Inbox {
  const waiting: { readonly payload: Uint8Array; readonly cost: number }[] = [];
  let ended = false;
  let failure: { readonly reason: unknown } | undefined;
  let wake: () => void = () => {};

  async function* iterate(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (failure) throw failure.reason;
      const next = waiting.shift();
      if (next) {
        refund(next.cost);
        yield next.payload;
      } else if (ended) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }

  return {
    push: (payload, cost) => {
      if (ended || failure) return refund(cost);
      waiting.push({ payload, cost });
      wake();
    },
    end: () => {
      ended = true;
      wake();
    },
    fail: (reason) => {
      failure ??= { reason };
      for (const { cost } of waiting.splice(0)) refund(cost);
      wake();
    },
    [Symbol.asyncIterator]: iterate,
  };
}
