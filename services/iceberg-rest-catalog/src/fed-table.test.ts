import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { schema, setProperty, startFixture } from './rest.fixture.ts';

/** What a refused request answers. */
const error = (status: number, type: string, message: RegExp) => ({
  status,
  body: { error: { code: status, type, message: expect.stringMatching(message) } },
});

let fixture: Awaited<ReturnType<typeof startFixture>>;
beforeAll(async () => {
  fixture = await startFixture();
});
afterAll(() => fixture.stop());

describe('a table that a topic feeds', () => {
  const table = { namespace: 'demo', name: 'fed' };
  const path = '/v1/namespaces/demo/tables/fed';

  test('comes from the ledger and is described', async () => {
    const { snapshotId } = await fixture.client.projectIceberg({ table, version: 1n });
    const described = await fixture.client.describeIceberg({ table });
    expect(described).toMatchObject({
      exists: true,
      enabled: true,
      ledgerVersion: 1n,
      oldestLedgerVersion: 1n,
      snapshotId,
      catalogUri: fixture.service.catalogUri,
      positions: [{ partition: 0, startOffset: 0n, endOffset: 7n }],
    });
    const { snapshots } = await fixture.client.listSnapshots({ table });
    expect(snapshots).toMatchObject([{ snapshotId, operation: 'append', ledgerVersion: 1n }]);
    expect(
      await fixture.client.expireSnapshots({ table, olderThanMs: BigInt(Date.now()), keepCount: 1 }),
    ).toMatchObject({
      expiredCount: 0,
    });
    expect((await fixture.client.describeIceberg({ table: { namespace: 'demo', name: 'none' } })).exists).toBe(false);
    await expect(fixture.client.listSnapshots({ table: { namespace: 'demo', name: 'none' } })).rejects.toMatchObject({
      kind: 'not-found',
    });
  });

  test('takes comments and tags from outside, and refuses the rest with the way out', async () => {
    await fixture.client.projectIceberg({ table, version: 1n });
    const { snapshotId } = await fixture.client.describeIceberg({ table });
    const tag = { action: 'set-snapshot-ref', 'ref-name': 'audit', type: 'tag', 'snapshot-id': snapshotId };
    expect((await fixture.commit(path, [setProperty('comment', 'mine'), tag])).body.metadata).toMatchObject({
      properties: { comment: 'mine' },
      refs: { audit: { type: 'tag' } },
    });
    const refused = [
      setProperty('gc.enabled', 'true'),
      setProperty('millrace.ledger-version', '9'),
      { action: 'remove-properties', removals: ['write.metadata.path'] },
      { ...tag, type: 'branch' },
      { action: 'remove-snapshots', 'snapshot-ids': [snapshotId] },
      { action: 'add-schema', schema },
    ];
    for (const update of refused) {
      expect(await fixture.commit(path, [update])).toMatchObject(
        error(403, 'ForbiddenException', /demo.fed is fed by a topic, so/),
      );
    }
    const rename = { source: { namespace: ['demo'], name: 'fed' }, destination: { namespace: ['demo'], name: 'x' } };
    expect(await fixture.call('POST', '/v1/tables/rename', rename)).toMatchObject(
      error(403, 'ForbiddenException', /can't be renamed here/),
    );
    expect(await fixture.call('DELETE', path)).toMatchObject(error(403, 'ForbiddenException', /can't be dropped here/));
    expect((await fixture.client.describeIceberg({ table })).ledgerVersion).toBe(1n);
  });

  test("a copy of its metadata, dropped and purged, leaves the table's files alone", async () => {
    await fixture.client.projectIceberg({ table, version: 1n });
    mkdirSync(`${fixture.root}/warehouse/demo/fed/data`, { recursive: true });
    writeFileSync(`${fixture.root}/warehouse/demo/fed/data/1.parquet`, 'PAR1');
    const location = (await fixture.call('GET', path)).body['metadata-location'];
    const register = { name: 'copy', 'metadata-location': location };
    expect((await fixture.call('POST', '/v1/namespaces/demo/register', register)).status).toBe(200);
    expect((await fixture.call('DELETE', '/v1/namespaces/demo/tables/copy?purgeRequested=true')).status).toBe(204);
    expect((await fixture.call('GET', path)).status).toBe(200);
    expect(readdirSync(`${fixture.root}/warehouse/demo/fed/data`)).toEqual(['1.parquet']);
    expect(await fixture.client.expireSnapshots({ table, keepCount: 1 })).toMatchObject({ expiredCount: 0 });
  });
});
