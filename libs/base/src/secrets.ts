/** At this many the oldest is forgotten: tokens change, processes stay. */
const MAX_KEPT = 1_000;
const kept = new Set<string>();

const PATTERNS: [RegExp, string][] = [
  // scheme://user:password@host
  [/([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@"']*):[^\s/"'<>]*@/gi, '$1:***@'],
  [/([?&][\w.-]*(?:signature|credential|security-token|password|secret|token|sig|key)=)[^&\s"'<>]+/gi, '$1***'],
  [/\b([Bb]earer|[Bb]asic)\s+(?=\S*[A-Z\d])[\w.~+/=-]{12,}/g, '$1 ***'],
  [/((?:account|access)key=)[^;\s"']+/gi, '$1***'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*/g, '*** private key ***'],
];

/** Names of environment variables that hold secrets of other software in this process: stores, databases, proxies. */
const SECRET_NAME = /(SECRET|PASSWORD|PASSWD|TOKEN|_KEY|CONNECTION_STRING|CREDENTIALS?)$|SECRET_ACCESS_KEY/i;

/**
 * From now on `withoutSecrets` takes this text out wherever it stands; of a URL its password. A secret that could be a
 * word of a message (shorter than eight characters, or only small letters) is not kept: taking it out would garble
 * messages and tell what it is.
 */
export function keepSecret(text: string): void {
  const password = URL.canParse(text) ? new URL(text).password : text;
  const plain = decoded(password);
  // As it stands in a URL and in JSON too.
  for (const secret of new Set([password, plain, encodeURIComponent(plain), JSON.stringify(plain).slice(1, -1)])) {
    if (secret.length < 8 || /^[a-z]*$/.test(secret)) continue;
    kept.delete(secret);
    kept.add(secret);
    if (kept.size > MAX_KEPT) kept.delete(kept.values().next().value!);
  }
}

/** Keeps what an environment holds for others, by the names of its variables, and the passwords in its URLs. */
export function keepSecretsOf(env: Record<string, string | undefined>): void {
  for (const [name, value = ''] of Object.entries(env)) {
    if (SECRET_NAME.test(name) || /^[a-z][a-z0-9+.-]*:\/\/[^/]*@/i.test(value)) keepSecret(value);
  }
}

/** A text for people, logs and traces: passwords, tokens and keys in it are replaced by "***". */
export function withoutSecrets(text: string): string {
  let shown = text;
  for (const secret of kept) if (shown.includes(secret)) shown = shown.replaceAll(secret, '***');
  for (const [pattern, replacement] of PATTERNS) shown = shown.replace(pattern, replacement);
  return shown;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
