import { join, resolve } from 'node:path';
import { formatTableName, isKind, MillraceError, parseTableName, type TableName, tableLocation } from '@millrace/base';
import { type ObjectStore, openStore } from '@millrace/object-store';
import type { LedgerTable } from '@millrace/proto/metadata_discovery';
import type { Command } from 'commander';
import { gatherDelta } from './gather-delta.ts';
import { gatherIceberg } from './gather-iceberg.ts';
import { gatherLedger } from './gather-ledger.ts';
import { count } from './output.ts';
import { EXIT, type Run } from './program.ts';
import type { Session } from './session.ts';
import { checkHistory, compareEvidence, type Evidence, type Finding, rowsOf, spanOf } from './verify.ts';
import { checkRows } from './verify-rows.ts';

export function verifyCommand(program: Command, run: Run): void {
  program
    .command('verify <table>')
    .description(
      'prove that the table is the log: contiguous offsets, no overlap, ledger, Iceberg and Delta equal; exit code 1 when not',
    )
    .option('--rows', 'also read every row’s partition and offset from the data files')
    .addHelpText(
      'after',
      `
Where versions, snapshots or commits have expired, the proof begins at the oldest that is kept, and says so. When no
service runs, the stored tables are checked against each other, and the ledger is not asked.

Example:
  millrace verify demo.orders --rows`,
    )
    .action(
      run(async ({ session, output, options, args, exitWith }) => {
        const name = parseTableName(args[0]!);
        const table = await askLedger(session, name);
        const store = openStore(table?.location ?? storedLocation(session, name));
        const witnesses = await gather(session, name, table, store);
        if (witnesses.length === 0) {
          throw new MillraceError('not-found', `no table ${args[0]} at ${store.uri}, and no ledger was asked`, {
            code: 'table-not-found',
          });
        }
        const findings = witnesses.flatMap(checkHistory);
        const [first, ...others] = witnesses as [Evidence, ...Evidence[]];
        findings.push(...others.flatMap((other) => compareEvidence(first, other)));
        const lagging = witnesses.filter(({ filesVersion }) => filesVersion < first.filesVersion);
        const rows = options['rows'] === true ? await checkRows(store, first) : undefined;
        if (rows !== undefined) findings.push(...rows.findings);
        const positions = first.steps.at(-1)?.positions ?? new Map();
        output.table(
          ['witness', 'from version', 'to version', 'commits', 'files', 'rows', 'offsets', 'result'],
          witnesses.map((witness) => witnessRow(witness, findings)),
          {
            table: formatTableName(name),
            ok: findings.length === 0,
            findings,
            witnesses: witnesses.map(summary),
            rows,
          },
        );
        for (const { source, problem } of findings) output.say(`${source}: ${problem}`);
        if (table === undefined) output.say('The ledger was not asked: no service answers.');
        for (const { source, truncated, steps } of witnesses) {
          if (truncated)
            output.say(`${source}: proved from version ${steps[0]?.ledgerVersion ?? '?'}, the oldest that is kept.`);
        }
        for (const { source, filesVersion } of lagging) {
          output.say(
            `${source}: at version ${filesVersion} of ${first.filesVersion}; what it has is right, the rest is to come.`,
          );
        }
        const gaps = spanOf(positions) - rowsOf(first);
        if (gaps > 0n)
          output.say(
            `${count(gaps)} offsets hold no row: control records, records left out by policy, gaps of the log.`,
          );
        output.say(
          findings.length === 0
            ? `${formatTableName(name)} is the log: ${count(rowsOf(first))} rows${rows === undefined ? '' : ', every offset read once'}.`
            : `${formatTableName(name)} is NOT proved: ${findings.length} findings.`,
        );
        if (findings.length > 0) exitWith(EXIT.failed);
      }),
    );
}

async function askLedger(session: Session, table: TableName): Promise<LedgerTable | undefined> {
  if (!session.knows('metadata-discovery')) return undefined;
  try {
    return (await session.ledger().getTable({ table }, { timeoutMs: 5_000 })).table;
  } catch (error) {
    if (isKind(error, 'unavailable', 'deadline')) return undefined;
    throw error;
  }
}

const storedLocation = (session: Session, name: TableName): string =>
  tableLocation(session.endpoints?.warehouseUri ?? `file://${resolve(join(session.dataDir, 'warehouse'))}`, name);

/** The witnesses that there are; the ledger first. */
async function gather(
  session: Session,
  name: TableName,
  table: LedgerTable | undefined,
  store: ObjectStore,
): Promise<Evidence[]> {
  // Projections are read before the ledger: what they show, the ledger then knows.
  const iceberg = await gatherIceberg(session, name, store);
  const delta = await gatherDelta(store);
  const ledger = table === undefined ? undefined : await gatherLedger(session, name);
  return [ledger, iceberg, delta].filter((evidence) => evidence !== undefined);
}

const witnessRow = (witness: Evidence, findings: Finding[]): string[] => [
  witness.source,
  String(witness.steps[0]?.ledgerVersion ?? '–'),
  String(witness.steps.at(-1)?.ledgerVersion ?? '–'),
  count(witness.steps.length),
  count(witness.files.size),
  count(rowsOf(witness)),
  count(spanOf(witness.steps.at(-1)?.positions ?? new Map())),
  findings.some(({ source }) => source === witness.source) ? 'WRONG' : 'right',
];

const summary = (witness: Evidence) => ({
  source: witness.source,
  fromVersion: witness.steps[0]?.ledgerVersion,
  toVersion: witness.steps.at(-1)?.ledgerVersion,
  commits: witness.steps.length,
  files: witness.files.size,
  rows: rowsOf(witness),
  positions: Object.fromEntries(witness.steps.at(-1)?.positions ?? []),
});
