import { expect, test } from 'vitest';
import { bucketRoot, keyUnder } from './bucket-uri.ts';

test('a bucket, its prefix and its parameters', () => {
  expect(bucketRoot('s3://lake', ['s3'], [])).toMatchObject({ bucket: 'lake', prefix: '', root: 's3://lake' });
  const found = bucketRoot('s3://lake/a/b/?endpoint=http://host:9000&region=eu', ['s3'], ['endpoint', 'region']);
  expect(found).toMatchObject({ bucket: 'lake', prefix: 'a/b/', root: 's3://lake/a/b' });
  expect(found.parameters.get('endpoint')).toBe('http://host:9000');
  expect(keyUnder(found.root, 's3://lake/a/b/c/d')).toBe('c/d');
  expect(() => keyUnder(found.root, 's3://lake/a/bc/d')).toThrow('does not lie under s3://lake/a/b');
  expect(() => keyUnder(found.root, 's3://lake/a/b/../d')).toThrow('is not allowed');
});

test.each([
  ['gs://lake', 'it is not of the form s3://bucket/prefix'],
  ['s3://', 'it is not of the form'],
  ['s3://lake/a//b', 'is not allowed'],
  ['s3://lake/../b', 'is not allowed'],
  ['s3://lake?secret=hush', 'the parameter "secret" is unknown; legal: endpoint'],
])('%s is refused', (uri, why) => {
  expect(() => bucketRoot(uri, ['s3'], ['endpoint'])).toThrow(why);
  expect(() => bucketRoot(uri, ['s3'], ['endpoint'])).not.toThrow('hush');
});
