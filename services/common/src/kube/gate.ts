// A door that opens once. Invariant: everybody who waits is let go: when it opens, when it is closed for good, or by their own signal.

export interface Gate {
  isOpen(): boolean;
  open(): void;
  /** Nobody can open it any longer: those who wait, and who come, get the error. */
  close(error: Error): void;
  wait(signal?: AbortSignal): Promise<void>;
}

export function createGate(): Gate {
  let opened = false;
  let closedBy: Error | undefined;
  const waiting = new Set<(error?: Error) => void>();
  const letGo = (error?: Error): void => {
    for (const settle of [...waiting]) settle(error);
    waiting.clear();
  };
  return {
    isOpen: () => opened,
    open(): void {
      opened = true;
      letGo();
    },
    close(error: Error): void {
      closedBy = error;
      letGo(error);
    },
    wait(signal?: AbortSignal): Promise<void> {
      if (opened) return Promise.resolve();
      if (closedBy) return Promise.reject(closedBy);
      if (signal?.aborted) return Promise.reject(signal.reason);
      return new Promise((resolve, reject) => {
        const settle = (error?: Error): void => {
          signal?.removeEventListener('abort', onAbort);
          if (error) reject(error);
          else resolve();
        };
        const onAbort = (): void => {
          waiting.delete(settle);
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        waiting.add(settle);
      });
    },
  };
}
