import { observe } from '@millrace/telemetry';
import type { PublicationRecord, PublisherStore } from './publisher-store.ts';

/** How the tables stand in each catalog, read whenever somebody looks. The answer ends it. */
export function observePublications(store: PublisherStore): () => void {
  return observe(['millrace.publications'], async (report) => {
    for (const record of await store.publications('')) {
      report('millrace.publications', 1, {
        'millrace.integration': record.integration,
        'millrace.state': stateOf(record),
      });
    }
  });
}

function stateOf({ error, drifted, pointer }: PublicationRecord): 'failed' | 'drifted' | 'published' | 'pending' {
  if (error !== undefined) return 'failed';
  if (drifted) return 'drifted';
  return pointer === '' ? 'pending' : 'published';
}
