// What Pods ask for and what nodes have, in thousandths (as numbers: exact up to 9 TB, and rounded alike beyond). Pure.
import { at, isObject, type JsonObject, type KubeObject, objectsAt } from '../api/objects.js';
import { parseMilli } from '../api/quantity.js';

/** Amounts by resource name ("cpu", "memory", "example.com/gpu"); absent = 0. */
export type Resources = ReadonlyMap<string, number>;

const NOTHING: Resources = new Map();

export function readResources(list: unknown): Resources {
  if (!isObject(list)) return NOTHING;
  const amounts = Object.entries(list).map(([name, text]): [string, number] => [
    name,
    Number((typeof text === 'string' ? parseMilli(text) : undefined) ?? 0n),
  ]);
  return new Map(amounts);
}

export function add(a: Resources, b: Resources): Resources {
  return combine(a, b, (x, y) => x + y);
}

function atLeast(a: Resources, b: Resources): Resources {
  return combine(a, b, Math.max);
}

function combine(a: Resources, b: Resources, merge: (x: number, y: number) => number): Resources {
  if (b.size === 0) return a;
  const result = new Map(a);
  for (const [name, amount] of b) result.set(name, merge(result.get(name) ?? 0, amount));
  return result;
}

/**
 * What a Pod occupies: the sum of its containers and sidecars, or the largest moment of its initialization when that is more (an init
 * container runs beside the sidecars started before it); requests of the Pod as a whole instead, where given; plus the overhead.
 */
export function podRequests(pod: KubeObject): Resources {
  let running = objectsAt(pod.spec, 'containers').map(requestsOf).reduce(add, NOTHING);
  let sidecars = NOTHING;
  let starting = NOTHING;
  for (const container of objectsAt(pod.spec, 'initContainers')) {
    const wanted = requestsOf(container);
    if (container['restartPolicy'] === 'Always') {
      sidecars = add(sidecars, wanted);
      running = add(running, wanted);
      starting = atLeast(starting, sidecars);
    } else starting = atLeast(starting, add(wanted, sidecars));
  }
  const whole = readResources(at(pod.spec, 'resources', 'requests'));
  const requests = new Map([...atLeast(running, starting), ...whole]);
  return add(requests, readResources(at(pod.spec, 'overhead')));
}

function requestsOf(container: JsonObject): Resources {
  return readResources(at(container, 'resources', 'requests'));
}

/** What Pods may use of a node: allocatable, or the capacity of a node that does not say. */
export function nodeResources(node: KubeObject): Resources {
  return readResources(at(node.status, 'allocatable') ?? at(node.status, 'capacity'));
}
