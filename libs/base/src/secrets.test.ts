import { expect, test } from 'vitest';
import { MillraceError, toMillraceError } from './errors.ts';
import { keepSecret, keepSecretsOf, withoutSecrets } from './secrets.ts';

test.each([
  ['connect postgres://lake:s3cr3t@db:5432/x failed', 'connect postgres://lake:***@db:5432/x failed'],
  ['postgres://lake:p@ss:w@rd@db/x', 'postgres://lake:***@db/x'],
  ['{"a":"http://h:80","b":"x@y"}', '{"a":"http://h:80","b":"x@y"}'],
  ['GET https://s/b?X-Amz-Signature=ab12&x=1', 'GET https://s/b?X-Amz-Signature=***&x=1'],
  ['https://a.blob/c?sv=1&sig=A%2Fb&se=2', 'https://a.blob/c?sv=1&sig=***&se=2'],
  ['{"authorization":"Bearer eyJhbGciOi.J9"}', '{"authorization":"Bearer ***"}'],
  [
    'DefaultEndpointsProtocol=https;AccountKey=abc/d==;EndpointSuffix=x',
    'DefaultEndpointsProtocol=https;AccountKey=***;EndpointSuffix=x',
  ],
  [
    '-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----',
    '*** private key ***-----END EC PRIVATE KEY-----',
  ],
  ['topic orders at 10:30, s3://bucket/a@b', 'topic orders at 10:30, s3://bucket/a@b'],
  ['the basic authentication of a registry', 'the basic authentication of a registry'],
])('%s', (text, shown) => {
  expect(withoutSecrets(text)).toBe(shown);
});

test('a kept secret is taken out in every form; a word is not', () => {
  keepSecret('postgres://lake:Sword%22fish%2F7@db/x');
  expect(withoutSecrets('a Sword"fish/7 b Sword%22fish%2F7 c')).toBe('a *** b *** c');
  expect(withoutSecrets(JSON.stringify({ note: 'Sword"fish/7' }))).toBe('{"note":"***"}');
  keepSecret('postgres://millrace:millrace@db/x');
  expect(withoutSecrets('millrace.v1')).toBe('millrace.v1');
});

test('an environment’s secrets are known by the names of their variables', () => {
  keepSecretsOf({
    AWS_SECRET_ACCESS_KEY: 'Aws-Secret-1',
    PGPASSWORD: 'Pg-Pass-1',
    HTTPS_PROXY: 'http://u:Proxy-Pass-1@p',
    HOME: '/home/Home-1',
  });
  expect(withoutSecrets('Aws-Secret-1 Pg-Pass-1 Proxy-Pass-1 /home/Home-1')).toBe('*** *** *** /home/Home-1');
});

test('an error never says one, whatever it was made of', () => {
  keepSecret('Kept-Secret-1');
  const error = new MillraceError('unavailable', 'no answer from http://u:p4ss@h/x', {
    context: { url: 'Kept-Secret-1' },
  });
  expect([error.message, error.context]).toEqual(['no answer from http://u:***@h/x', { url: '***' }]);
  expect(toMillraceError(new Error('driver: Kept-Secret-1')).message).toBe('driver: ***');
});
