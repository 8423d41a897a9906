import { create } from '@bufbuild/protobuf';
import { createSimulation } from '@millrace/actor';
import { MillraceError } from '@millrace/base';
import { TableFormat } from '@millrace/proto/common';
import {
  type LedgerService,
  type LedgerTable,
  LedgerTableSchema,
  type LedgerVersion,
  LedgerVersionSchema,
  VersionKind,
} from '@millrace/proto/metadata_discovery';
import type { Client } from '@millrace/rpc';
import { createLogger } from '@millrace/telemetry';
import { expect, test } from 'vitest';
import { type ProjectionTarget, runProjector } from './index.ts';

const ref = { namespace: 'demo', name: 'orders' };
const { ICEBERG, DELTA } = TableFormat;

/** A ledger in memory, and a table that remembers what it was told; either may fail by the seed. */
function world(seed: number, failShare: number) {
  const simulation = createSimulation(seed);
  const versions: LedgerVersion[] = [];
  let oldest = 1n;
  let formats: TableFormat[] = [ICEBERG, DELTA];
  let table: { ledgerVersion: bigint; enabled: boolean; dropped?: boolean } | undefined;
  const calls: string[] = [];
  const flaky = async () => {
    await simulation.clock.sleep(Math.floor(simulation.random() * 50));
    if (simulation.random() < failShare) throw new MillraceError('unavailable', 'the store does not answer');
  };
  const watchers: ((version: bigint) => void)[] = [];
  function add(kind: VersionKind, change: Partial<LedgerVersion> = {}) {
    const version = BigInt(versions.length + 1);
    if (kind === VersionKind.FORMATS) formats = change.formats!;
    versions.push(create(LedgerVersionSchema, { table: ref, version, kind, formats, ...change } as object));
    for (const tell of watchers) tell(version);
  }
  const newest = () => BigInt(versions.length);
  const describe = (): LedgerTable =>
    create(LedgerTableSchema, {
      table: ref,
      formats,
      version: newest(),
      oldestVersion: oldest,
      dropped: versions.at(-1)?.kind === VersionKind.DROP,
    });
  const ledger = {
    async getTable() {
      await flaky();
      return { table: describe() };
    },
    async listVersions({ afterVersion }: { afterVersion: bigint }) {
      await flaky();
      if (afterVersion + 1n < oldest) throw new MillraceError('conflict', 'expired');
      const from = versions.filter(({ version }) => version > afterVersion);
      return { versions: from.slice(0, 2), more: from.length > 2 };
    },
    async listFiles({ version }: { version: bigint }) {
      await flaky();
      return { version, files: [], positions: [], nextPageToken: '' };
    },
    async *watchLedger(_: unknown, { signal }: { signal: AbortSignal }) {
      for (;;) {
        yield { table: ref, version: newest() };
        await new Promise<void>((resolve, reject) => {
          watchers.push(() => resolve());
          signal.addEventListener('abort', () => reject(signal.reason));
        });
      }
    },
  } as unknown as Client<typeof LedgerService>;
  const target: ProjectionTarget = {
    async position() {
      await flaky();
      return table;
    },
    async rebuild(_, state) {
      for await (const _files of state.files);
      await flaky();
      calls.push(`rebuild ${state.version}`);
      table = { ledgerVersion: state.version, enabled: true };
      await flaky();
    },
    async apply(_, { version }) {
      await flaky();
      // What must never happen: a version skipped, or one applied twice.
      expect(version).toBe(table!.ledgerVersion + 1n);
      calls.push(`apply ${version}`);
      table = { ledgerVersion: version, enabled: true };
      await flaky();
    },
    async disable() {
      await flaky();
      calls.push('disable');
      table = { ...table!, enabled: false };
    },
    async drop() {
      await flaky();
      table = undefined;
    },
  };
  const projector = runProjector({
    format: ICEBERG,
    formatName: 'iceberg',
    ledger,
    target,
    logger: createLogger('test').child({}, { level: 'silent' }),
    clock: simulation.clock,
    scheduler: simulation.scheduler,
  });
  return {
    simulation,
    projector,
    calls,
    add,
    expire: (version: bigint) => {
      oldest = version;
    },
    table: () => table,
    newest,
  };
}

test('follows the ledger version by version, through failures on either side', async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const w = world(seed, 0.2);
    w.add(VersionKind.CREATE);
    for (let i = 0; i < 6; i++) {
      await w.simulation.run(Math.floor(w.simulation.random() * 300));
      w.add(VersionKind.APPEND);
    }
    await w.simulation.run(600_000);
    expect(w.table(), `seed ${seed}`).toEqual({ ledgerVersion: 7n, enabled: true });
    await w.projector.stop();
  }
});

test('switched off it stays where it is; switched on it takes the whole state; a drop ends it', async () => {
  const w = world(4, 0);
  w.add(VersionKind.CREATE);
  await w.simulation.run(10_000);
  w.add(VersionKind.APPEND);
  w.add(VersionKind.FORMATS, { formats: [DELTA] });
  await w.simulation.run(10_000);
  w.add(VersionKind.APPEND);
  await w.simulation.run(10_000);
  expect(w.table()).toEqual({ ledgerVersion: 2n, enabled: false });
  w.add(VersionKind.FORMATS, { formats: [ICEBERG, DELTA] });
  await w.simulation.run(10_000);
  expect(w.table()).toEqual({ ledgerVersion: 5n, enabled: true });
  expect(w.calls).toEqual(['rebuild 1', 'apply 2', 'disable', 'rebuild 5']);
  w.add(VersionKind.DROP);
  await w.simulation.run(10_000);
  expect(w.table()).toBeUndefined();
  await w.projector.stop();
});

test('versions that have expired are not needed: the state is', async () => {
  const w = world(5, 0);
  for (let i = 0; i < 5; i++) w.add(VersionKind.APPEND);
  w.expire(4n);
  await w.simulation.run(10_000);
  expect(w.calls).toEqual(['rebuild 5']);
  await w.projector.stop();
});

test('who asks for a version waits until the table has it, and leaves when told to', async () => {
  const w = world(6, 0.2);
  w.add(VersionKind.CREATE);
  w.add(VersionKind.APPEND);
  let there = false;
  void w.projector.project(ref, 2n, new AbortController().signal).then(() => {
    expect(w.table()?.ledgerVersion).toBe(2n);
    there = true;
  });
  await w.simulation.run(600_000);
  expect(there).toBe(true);
  const leaving = new AbortController();
  const waiting = w.projector.project(ref, 99n, leaving.signal);
  leaving.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await w.projector.stop();
});
