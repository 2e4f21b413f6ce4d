// Scenarios as transcripts: testdata/*.txt hold commands and what the link says to them. LINK_REWRITE=1 writes them anew: read the diff.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { play } from './testing/scenario.js';

const dir = join(import.meta.dirname, 'testdata');

describe('link scenarios', () => {
  for (const file of readdirSync(dir).filter((name) => name.endsWith('.txt'))) {
    test(file, async () => {
      const path = join(dir, file);
      const transcript = readFileSync(path, 'utf8');
      const played = await play(transcript);
      if (process.env['LINK_REWRITE'] === '1') writeFileSync(path, played);
      else expect(played).toBe(transcript);
    });
  }
});
