// docs/pod-fields.md from the tables, so that the page cannot say anything else than the code does.
import { FIELD_TABLES } from '../pod/fields.js';
import type { Rule } from '../pod/rules.js';

const INTRO = `# Pod fields

What an edge node does with each field of a Pod. Written from \`services/edgecore/src/engine/pod/fields.ts\`; a test keeps both equal.

- **supported**: it does what Kubernetes says.
- **ignored**: it asks for nothing that the node could do or leave undone; the reason is given.
- **refused**: a Pod that sets it (to more than \`false\`, \`""\`, \`[]\` or \`{}\`) is not run. Its phase becomes \`Failed\`, its reason
  \`UnsupportedByNode\`, and the message names each such field and why.
- **some values**: those listed pass, others are refused. "On runtimes that isolate" means: not on \`process\`, which runs commands on the host.
- **see** another table.

A field that is in no table is refused. A Pod that already runs is never stopped for a field: it gets a warning Event instead.
`;

export function fieldsDoc(): string {
  const tables = Object.entries(FIELD_TABLES).map(([type, fields]) => {
    const rows = Object.entries(fields as Record<string, Rule>).map(
      ([name, rule]) => `| \`${name}\` | ${cells(rule)} |`,
    );
    return `\n## ${type}\n\n| Field | | |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  return INTRO + tables.join('');
}

function cells(rule: Rule): string {
  switch (rule.kind) {
    case 'supported':
      return `supported | ${rule.note ?? ''}`;
    case 'ignored':
      return `ignored | ${rule.because}`;
    case 'refused':
      return `refused | ${rule.because}`;
    case 'checked':
      return `some values | ${rule.accepts}`;
    case 'object':
    case 'list':
      return `see ${typeName(rule.fields)} | `;
  }
}

function typeName(fields: object): string {
  const found = Object.entries(FIELD_TABLES).find(([, table]) => table === fields);
  return found ? `[${found[0]}](#${found[0].toLowerCase()})` : 'below';
}
