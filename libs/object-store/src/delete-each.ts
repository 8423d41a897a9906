const AT_ONCE = 16;

/** Runs `remove` for every key, 16 at a time; after a failure no more begin, and it is thrown when those under way end. */
export async function deleteEach(keys: readonly string[], remove: (key: string) => Promise<void>): Promise<void> {
  let next = 0;
  let failure: { error: unknown } | undefined;
  const worker = async () => {
    while (next < keys.length && failure === undefined)
      await remove(keys[next++]!).catch((error) => {
        failure ??= { error };
      });
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, keys.length) }, worker));
  if (failure !== undefined) throw failure.error;
}
