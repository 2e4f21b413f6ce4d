// Plays a scenario written as text: lines that begin with "> " are commands, "#" are remarks, everything else is what the world said.
// Playing a text again gives the same text, or the behaviour has changed.
import { createWorld, type World } from './world.js';

/** Plays the commands of a transcript and returns the transcript with what is said now. */
export async function play(transcript: string): Promise<string> {
  const out: string[] = [];
  const world = createWorld((line) => out.push(line));
  try {
    for (const line of transcript.split('\n')) {
      if (line.startsWith('> ')) {
        out.push(line);
        await obey(world, line.slice(2).split(' '), (said) => out.push(said));
      } else if (line.startsWith('#') || line === '') out.push(line);
    }
  } finally {
    world.close();
  }
  return `${out.join('\n').trimEnd()}\n`;
}

async function obey(world: World, words: readonly string[], say: (line: string) => void): Promise<void> {
  const [command = '', a = '', b = '', c = ''] = words;
  const edge = world.edges.get(a);
  switch (command) {
    case 'edge':
      world.addEdge(a);
      return;
    case 'controller':
      world.addController(a, BigInt(b));
      return;
    case 'informers-sync':
      world.sync(a);
      return world.run();
    case 'connect':
      if (edge) world.connectEdge(a);
      else world.connectController(a);
      return world.run();
    case 'cut':
      (edge ?? world.controllers.get(a))?.wire?.cut();
      return world.run();
    case 'crash':
      if (edge) world.crashEdge(a);
      else world.crashController(a);
      return world.run();
    case 'want':
      world.desire(a, b, c === '' ? undefined : c);
      return settle(world);
    case 'unwanted':
      // Deleted from the API while no controller looked.
      world.api.desired.get(a)?.delete(b);
      return;
    case 'report':
      world.report(a, b, c);
      return settle(world);
    case 'log':
      world.log(a);
      return settle(world);
    case 'api':
      world.api.reachable = a === 'up';
      return;
    case 'stuck':
      if (edge) edge.stuck = true;
      return;
    case 'unstuck':
      if (!edge) return;
      edge.stuck = false;
      for (const release of edge.release.splice(0)) release();
      return world.run();
    case 'deliver':
      return deliver(world, a, Number(b));
    case 'run':
      return world.run();
    case 'wait':
      await world.clock.advance(Number(a) * 1000);
      return world.run();
    case 'show':
      return show(world, a, say);
    default:
      throw new Error(`unknown command "${command}"`);
  }
}

/** Lets promises settle without delivering anything. */
function settle(world: World): Promise<void> {
  return world.clock.advance(0);
}

/** Delivers so many frames to the named end of a wire: an edge, a controller, or "hub:<end>" for the hub's side. */
async function deliver(world: World, to: string, count: number): Promise<void> {
  const name = to.replace('hub:', '');
  const wire = (world.edges.get(name) ?? world.controllers.get(name))?.wire;
  for (let i = 0; i < count; i++) {
    wire?.deliver(to === name ? 0 : 1);
    await settle(world);
  }
}

function show(world: World, name: string, say: (line: string) => void): void {
  const edge = world.edges.get(name);
  if (edge) {
    const { disk, session } = edge;
    say(`${name} has ${[...disk.store].map((pair) => pair.join('=')).join(' ') || 'nothing'}`);
    say(`${name} counts ${counts(session.stats())}`);
    return;
  }
  for (const [node, session] of world.controllers.get(name)?.sessions ?? []) {
    say(`${name} counts of ${node}: ${counts(session.stats())}`);
  }
}

function counts(stats: object): string {
  const set = Object.entries(stats).filter(([, value]) => value !== 0);
  return set.map(([key, value]) => `${key}=${value}`).join(' ') || 'nothing';
}
