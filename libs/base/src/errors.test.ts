import { expect, test } from 'vitest';
import { MillraceError, parseTableName, retry, systemClock, tableLocation, toMillraceError } from './index.ts';

test('system errors get a kind and whether to retry', () => {
  const system = (code: string) => Object.assign(new Error(code), { code });
  expect(toMillraceError(system('ENOSPC'))).toMatchObject({ kind: 'exhausted', code: 'ENOSPC', retryable: true });
  const quota = Object.assign(new Error('Unknown system error -122'), {
    errno: -122,
    code: 'Unknown system error -122',
  });
  if (process.platform === 'linux')
    expect(toMillraceError(quota)).toMatchObject({ kind: 'exhausted', code: 'EDQUOT', retryable: true });
  expect(toMillraceError(system('EROFS'))).toMatchObject({ kind: 'permission', retryable: false });
  expect(toMillraceError(system('EIO'))).toMatchObject({ kind: 'unavailable', retryable: true });
  expect(toMillraceError(system('ECONNREFUSED'))).toMatchObject({ kind: 'unavailable', retryable: true });
  expect(toMillraceError(system('EACCES'))).toMatchObject({ kind: 'permission', retryable: false });
  expect(toMillraceError(new Error('x'))).toMatchObject({ kind: 'internal', retryable: false });
  expect(toMillraceError('text')).toMatchObject({ kind: 'internal', message: 'text' });
});

test('context is added, never overwritten', () => {
  const error = new MillraceError('corrupt', 'bad batch', { code: 'batch-crc-mismatch', context: { offset: 5n } });
  expect(error.with({ topic: 'orders', offset: 9 })).toMatchObject({
    code: 'batch-crc-mismatch',
    context: { topic: 'orders', offset: '5' },
  });
});

test('retry: only what is worth it, as often as allowed', async () => {
  let tries = 0;
  const flaky = async () => {
    if (++tries < 3) throw new MillraceError('unavailable', 'later');
    return 'done';
  };
  expect(await retry(flaky, { minDelayMs: 1, maxDelayMs: 2 })).toBe('done');
  tries = 0;
  await expect(retry(flaky, { retries: 1, minDelayMs: 1, maxDelayMs: 2 })).rejects.toMatchObject({
    kind: 'unavailable',
  });
  tries = 0;
  const broken = async () => {
    tries++;
    throw new MillraceError('invalid', 'never');
  };
  await expect(retry(broken, { minDelayMs: 1 })).rejects.toThrow('never');
  expect(tries).toBe(1);
});

test('table names and locations', () => {
  expect(parseTableName('demo.orders.v1')).toEqual({ namespace: 'demo', name: 'orders.v1' });
  expect(tableLocation('file:///w/', { namespace: 'demo', name: 'orders' })).toBe('file:///w/demo/orders');
  for (const bad of ['orders', '.orders', 'demo.', 'demo.a/b', 'demo...', 'a\\b.c', 'demo.a\u0000']) {
    expect(() => parseTableName(bad), bad).toThrow(MillraceError);
  }
});

test('sleep ends at once when aborted', async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(new Error('enough')), 5);
  await expect(systemClock.sleep(60_000, abort.signal)).rejects.toThrow('enough');
});
