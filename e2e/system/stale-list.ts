/** Whether a request lists objects: ListObjectsV2 of S3, objects.list of Google's JSON API, List Blobs of Azure. */
export const isListing = (method: string, url: string): boolean =>
  method === 'GET' && /[?&]list-type=2\b|^\/storage\/v1\/b\/[^/?]+\/o\?|[?&]comp=list\b/.test(url);

/** A listing's body without the objects that were written after `sinceMs`; undefined when it has none. */
export function withoutNewest(body: string, sinceMs: number): string | undefined {
  if (body.startsWith('{')) {
    const listing = JSON.parse(body) as { items?: { updated: string }[] };
    const items = (listing.items ?? []).filter(({ updated }) => Date.parse(updated) <= sinceMs);
    return items.length === (listing.items ?? []).length ? undefined : JSON.stringify({ ...listing, items });
  }
  const old = body.replace(/<(Contents|Blob)>.*?<\/\1>/gs, (entry) => {
    const modified = /<Last-?Modified>([^<]+)</.exec(entry)?.[1] ?? '';
    return Date.parse(modified) <= sinceMs ? entry : '';
  });
  return old === body ? undefined : old;
}
