// AbortControllers for signals that many wait on at once.
// Invariant: every listener takes itself off when its wait ends, so their number is bounded by what is under way; Node's warning about
// more than ten, which is meant for leaks, would only mislead.
import { setMaxListeners } from 'node:events';

export function sharedAbortController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
