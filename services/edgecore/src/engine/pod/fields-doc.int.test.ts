import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { fieldsDoc } from '../testing/fields-doc.js';

const PAGE = join(import.meta.dirname, '../../../../../docs/pod-fields.md');

test('docs/pod-fields.md says what the tables say; UPDATE_DOCS=1 writes it', async () => {
  if (process.env['UPDATE_DOCS']) await writeFile(PAGE, fieldsDoc());
  expect(await readFile(PAGE, 'utf8')).toBe(fieldsDoc());
});
