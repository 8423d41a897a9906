import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

// Builds of the product with one invariant (DESIGN.md section 3) broken, for tests of the tests: the source text is
// patched while Node.js loads it, so the product itself has no switches. Two ways in:
//   import { breakBuild } …; breakBuild('stale-completion')   before the product is imported
//   MILLRACE_BROKEN_BUILD=stale-completion NODE_OPTIONS='--import <this file>' npm start   for it and its children

interface Edit {
  /** From the repository's root. */
  file: string;
  /** Must occur exactly once in the file. */
  anchor: string;
  replacement: string;
}

export interface Break {
  /** The invariant that no longer holds. */
  invariant: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6';
  what: string;
  edits: Edit[];
}

export const BREAKS = {
  'gap-committed': {
    invariant: 'I1',
    what: 'a commit takes converted splits that do not follow the committed offset',
    edits: [
      {
        file: 'libs/ledger/src/commit.ts',
        anchor: 'if (split.start_offset !== (next.get(split.partition) ?? committed_offset)) continue;',
        replacement: 'void committed_offset;',
      },
      {
        file: 'libs/ledger/src/commit.ts',
        anchor: ".where('committed_offset', '=', range.start)",
        replacement: '',
      },
    ],
  },
  'stale-completion': {
    invariant: 'I2',
    what: 'a split can be completed under a lease that is not its newest',
    edits: [
      {
        file: 'libs/ledger/src/completion.ts',
        anchor: ".where('epoch', '=', done.epoch)\n      .where('state', '!=', 'pending')",
        replacement: ".where('state', '!=', 'pending')",
      },
      {
        file: 'libs/ledger/src/completion.ts',
        anchor: ".where('epoch', '=', done.epoch)\n      .where('state', '=', 'leased')",
        replacement: ".where('state', '=', 'leased')",
      },
    ],
  },
  'epoch-reused': {
    invariant: 'I2',
    what: 'a lease gets the epoch of the lease before it',
    edits: [
      {
        file: 'libs/ledger/src/leases.ts',
        anchor: 'const epoch = next.epoch + 1;',
        replacement: 'const epoch = Math.max(next.epoch, 1);',
      },
    ],
  },
  'delta-forgets-version': {
    invariant: 'I3',
    what: 'Delta commits carry no txn action, so the table does not know its ledger version',
    edits: [
      {
        file: 'libs/delta/src/table.ts',
        anchor: '...(version === undefined ? [] : [{ txn: { appId, version, lastUpdated: now } }]),',
        replacement: '',
      },
    ],
  },
  'iceberg-forgets-version': {
    invariant: 'I3',
    what: 'Iceberg snapshots do not carry their ledger version',
    edits: [
      {
        file: 'services/iceberg-rest-catalog/src/projection-target.ts',
        anchor: '[LEDGER_VERSION]: String(version),\n  [TABLE_UUID]: table.tableUuid,',
        replacement: '[TABLE_UUID]: table.tableUuid,',
      },
    ],
  },
  'sweep-ignores-leases': {
    invariant: 'I4',
    what: 'the sweep of orphans takes what running splits have written',
    edits: [
      {
        file: 'services/maintenance-scheduler/src/sweep-job.ts',
        anchor: 'for (const prefix of prefixes) if (key.startsWith(prefix)) candidates.delete(key);',
        replacement: '',
      },
      {
        file: 'services/maintenance-scheduler/src/sweep-job.ts',
        anchor: 'if (modifiedMs <= cutoffMs) old.set(key, sizeBytes);',
        replacement: 'if (cutoffMs > 0 && modifiedMs > 0) old.set(key, sizeBytes);',
      },
    ],
  },
  'expiry-ignores-projections': {
    invariant: 'I4',
    what: 'removed files are deleted although a snapshot or a Delta version still shows them, inside retention',
    edits: [
      {
        file: 'libs/ledger/src/files.ts',
        anchor:
          ".where('removed_ms', '<=', request.removedBeforeMs)\n    .where('removed_version', '<=', request.removedByVersion)",
        replacement: ".where('removed_version', 'is not', null)",
      },
    ],
  },
  'delta-overwrites': {
    invariant: 'I5',
    what: "a Delta commit replaces another owner's commit of the same version",
    edits: [
      {
        file: 'libs/delta/src/table.ts',
        anchor: 'store.writer(commitKey(version), { ifAbsent: true })',
        replacement: 'store.writer(commitKey(version))',
      },
    ],
  },
  'iceberg-swaps-blindly': {
    invariant: 'I5',
    what: "an Iceberg commit replaces the catalog's pointer whatever it points at",
    edits: [
      {
        file: 'services/iceberg-rest-catalog/src/tables.ts',
        anchor: ".where('metadata_location', '=', base.metadataLocation)",
        replacement: '',
      },
    ],
  },
  'rewrite-out-of-order': {
    invariant: 'I6',
    what: "a compaction puts a partition's later records before its earlier ones",
    edits: [
      {
        file: 'services/maintenance-scheduler/src/compaction-plan.ts',
        anchor: 'return groups.filter((group) => group.length > 1);',
        replacement: 'return groups.filter((group) => group.length > 1).map((group) => group.reverse());',
      },
    ],
  },
} satisfies Record<string, Break>;

export type BreakName = keyof typeof BREAKS;

const ROOT = join(import.meta.dirname, '../..');

/** Patches what is imported from now on. Throws when a text to be replaced is not (any more) there exactly once. */
export function breakBuild(name: string): void {
  if (!Object.hasOwn(BREAKS, name)) {
    throw new Error(`no broken build is named "${name}"; there are: ${Object.keys(BREAKS).join(', ')}`);
  }
  const edits: Edit[] = BREAKS[name as BreakName].edits;
  const files = new Map(edits.map(({ file }) => [pathToFileURL(join(ROOT, file)).href, file]));
  for (const file of files.values()) patch(name, file, readFileSync(join(ROOT, file), 'utf8'), edits);
  registerHooks({
    load(url, context, nextLoad) {
      const file = files.get(url);
      const loaded = nextLoad(url, context);
      if (file === undefined) return loaded;
      const text =
        typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString();
      return { ...loaded, source: patch(name, file, text, edits) };
    },
  });
}

function patch(name: string, file: string, source: string, edits: readonly Edit[]): string {
  let text = source;
  for (const edit of edits.filter((one) => one.file === file)) {
    const parts = text.split(edit.anchor);
    if (parts.length !== 2) {
      throw new Error(
        `broken build "${name}": ${file} has this text ${parts.length - 1} times instead of once; adapt e2e/system/broken-build.ts:\n${edit.anchor}`,
      );
    }
    text = parts.join(edit.replacement);
  }
  return text;
}

const wanted = process.env['MILLRACE_BROKEN_BUILD'];
if (wanted !== undefined && wanted !== '') for (const name of wanted.split(',')) breakBuild(name);
