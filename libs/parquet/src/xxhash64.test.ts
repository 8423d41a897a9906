import { expect, test } from 'vitest';
import { hashHigh, hashLow, xxhash64 } from './xxhash64.ts';

const hash = (bytes: Uint8Array): string => {
  xxhash64(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);
  return ((BigInt(hashHigh >>> 0) << 32n) | BigInt(hashLow >>> 0)).toString(16).padStart(16, '0');
};

// Computed by the reference library for bytes 0, 1, 2, … of these lengths.
const VECTORS: Record<number, string> = {
  0: 'ef46db3751d8e999',
  1: 'e934a84adb052768',
  3: 'e5c7bb4533bc65dd',
  4: 'ffced8604453cc1e',
  5: 'dd0274386e26030c',
  7: '14cc643f630c72d2',
  8: '884a173614b81b8d',
  9: '67d85784a7c78c5b',
  12: '424af23f1f08dca5',
  15: 'a948f5f0f6abac2d',
  16: '44b6ef2fb84169f7',
  31: 'c346d2b59b4d8ee1',
  32: 'cbf59c5116ff32b4',
  33: '0c535d1acafb8ead',
  40: 'f5da40f1b11741e9',
  63: 'e26aa9e2a95f8e4f',
  64: 'f7c67301db6713f0',
  100: '6ac1e58032166597',
  200: '50dc1079b99e879c',
  255: '0f7d97507caad693',
};

test.for(Object.entries(VECTORS))('%s bytes', ([length, expected]) => {
  expect(hash(Uint8Array.from({ length: Number(length) }, (_, i) => i))).toBe(expected);
});
