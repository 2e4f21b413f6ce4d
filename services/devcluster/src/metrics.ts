// The counters of devcluster's bounds, as Prometheus text.
import type { WatchHub } from './http/watch.js';
import type { Store } from './storage/store.js';

export function renderMetrics(store: Store, watches: WatchHub): string {
  const { objects, stateBytes, journalBytes, historyDropped, rejected, commits } = store.stats();
  const { open, overtaken } = watches.stats();
  const lines: [name: string, type: 'counter' | 'gauge', help: string, value: number][] = [
    ['objects', 'gauge', 'Objects stored.', objects],
    ['state_bytes', 'gauge', 'Length of all objects as JSON.', stateBytes],
    ['journal_bytes', 'gauge', 'Bytes written since the last snapshot.', journalBytes],
    ['commits_total', 'counter', 'Batches of writes made durable.', commits],
    ['writes_rejected_total', 'counter', 'Writes refused because too many were waiting.', rejected],
    ['history_dropped_total', 'counter', 'Changes dropped from the watch history by its bound.', historyDropped],
    ['watches', 'gauge', 'Open watches.', open],
    ['watches_overtaken_total', 'counter', 'Watches closed because their client was too slow.', overtaken],
  ];
  return lines
    .map(([name, type, help, value]) => {
      const full = `devcluster_${name}`;
      return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${full} ${value}\n`;
    })
    .join('');
}
