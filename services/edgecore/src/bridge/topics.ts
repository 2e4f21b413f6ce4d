// KubeEdge's MQTT topics: what each one asks for, and where the answer goes. Topics are split at slashes, so that no namespace, device or node
// name can be mistaken for another part of a topic.

export interface DeviceName {
  readonly namespace: string;
  readonly name: string;
}

export type Asked = 'twin/update' | 'twin/get' | 'state/update';

export type Topic =
  | { readonly kind: 'device'; readonly device: DeviceName; readonly asked: Asked }
  | { readonly kind: 'membership'; readonly node: string }
  /** Of the broker or of Skerry, and not for clients to publish on. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Anybody's: goes from client to client. */
  | { readonly kind: 'plain' };

/** Where refused messages go: aedes cannot acknowledge a message without publishing it, so it is emptied and nobody is sent this topic. */
export const NOWHERE = '$skerry/nowhere';

const EVENTS = '$hw/events/';
const ASKED: ReadonlySet<string> = new Set(['twin/update', 'twin/get', 'state/update']);
const ANSWERS: ReadonlySet<string> = new Set([
  'twin/update/result',
  'twin/update/document',
  'twin/update/delta',
  'twin/get/result',
  'state/update/result',
  'updated',
]);

export function parseTopic(topic: string): Topic {
  if (!topic.startsWith('$')) return { kind: 'plain' };
  if (!topic.startsWith(EVENTS)) return refused('topics that begin with $ are reserved');
  const [group, ...levels] = topic.slice(EVENTS.length).split('/');
  if (group === 'device') return parseDeviceTopic(levels);
  if (group === 'node') return parseNodeTopic(levels);
  if (group === 'upload') return refused('uploads to the cloud are not supported');
  return refused('unknown topic under $hw/events');
}

function parseDeviceTopic([namespace = '', name = '', ...rest]: readonly string[]): Topic {
  const asked = rest.join('/');
  if (isAsked(asked)) return { kind: 'device', device: { namespace, name }, asked };
  if (ANSWERS.has(asked)) return refused('only the node answers on this topic');
  return refused('want $hw/events/device/<namespace>/<name>/ and twin/update, twin/get or state/update');
}

function parseNodeTopic([node = '', ...rest]: readonly string[]): Topic {
  const asked = rest.join('/');
  if (asked === 'membership/get') return { kind: 'membership', node };
  if (asked === 'membership/get/result' || asked === 'membership/updated')
    return refused('only the node answers on this topic');
  return refused('want $hw/events/node/<node>/membership/get');
}

export function deviceTopic({ namespace, name }: DeviceName, rest: string): string {
  return `${EVENTS}device/${namespace}/${name}/${rest}`;
}

export function nodeTopic(node: string, rest: string): string {
  return `${EVENTS}node/${node}/${rest}`;
}

function isAsked(text: string): text is Asked {
  return ASKED.has(text);
}

const refused = (reason: string): Topic => ({ kind: 'refused', reason });
