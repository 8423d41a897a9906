import { expect, test } from 'vitest';
import { giveBack, PageBlocks } from './page-blocks.ts';

const bytes = (length: number, seed: number) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255);

test('what was appended comes back, in parts, and blocks that were given back serve the next', () => {
  const blocks = new PageBlocks();
  const used = new Set<ArrayBufferLike>();
  for (let round = 0; round < 3; round++) {
    const pieces = [1, 65_535, 0, 70_000, 300_000, 65_536].map((length) => bytes(length, round));
    for (const piece of pieces) blocks.append(piece);
    const whole = Buffer.concat(pieces);
    expect(blocks.length).toBe(whole.length);
    const parts = blocks.take();
    expect(Buffer.compare(Buffer.concat(parts), whole)).toBe(0);
    expect(blocks.length).toBe(0);
    for (const part of parts) {
      if (round === 0) used.add(part.buffer);
      else expect(used.has(part.buffer)).toBe(true);
      giveBack(part);
    }
  }
  expect(new PageBlocks().take()).toEqual([]);
});

test('only what was taken is given back, and once', () => {
  const [first, second] = [new PageBlocks(), new PageBlocks()];
  const foreign = new Uint8Array(65_536);
  giveBack(foreign);
  first.append(bytes(10, 1));
  const [part] = first.take();
  giveBack(part!);
  giveBack(part!);
  first.append(bytes(10, 2));
  second.append(bytes(10, 3));
  const taken = [...first.take(), ...second.take()];
  expect(taken.map((each) => each[0])).toEqual([2, 3]);
  expect(taken.some((each) => each.buffer === foreign.buffer)).toBe(false);
});
