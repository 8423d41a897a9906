import { appendFileSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { boundLogFile } from './log-file.ts';

test('a log is put aside when it is long; who has it open goes on in the new one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-log-'));
  const path = join(folder, 'x.log');
  const other = openSync(path, 'a');
  const end = boundLogFile(path, 1_000, 10);
  for (let round = 0; round < 5; round++) {
    appendFileSync(path, `${round}`.repeat(600));
    writeSync(other, `${round}`.repeat(600));
    await expect.poll(() => statSync(path).size).toBe(0);
    expect(readFileSync(`${path}.1`, 'utf8')).toBe(`${round}`.repeat(1_200));
  }
  writeSync(other, 'short');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(readFileSync(path, 'utf8')).toBe('short');
  end();
  rmSync(folder, { recursive: true });
});
