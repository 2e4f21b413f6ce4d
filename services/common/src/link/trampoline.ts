// Runs inputs through a core one after another: what an effect causes waits until the step that caused it is done, so no stack grows
// with the number of keys.

/** `step` gives the effects of an input, `perform` carries one out and may call the returned function again. */
export function trampoline<I, E>(step: (input: I) => readonly E[], perform: (effect: E) => void): (input: I) => void {
  const waiting: I[] = [];
  let running = false;

  return (input) => {
    waiting.push(input);
    if (running) return;
    running = true;
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        for (const effect of step(next)) perform(effect);
      }
    } finally {
      running = false;
    }
  };
}
