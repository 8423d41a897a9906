import { formatTableName, parseTableName } from '@millrace/base';
import { VersionKind } from '@millrace/proto/metadata_discovery';
import type { Command } from 'commander';
import { bytes, count, enumName, time } from './output.ts';
import type { Run } from './program.ts';
import { listTables, reportTable, TABLE_HEADINGS, tableRow } from './table-report.ts';
import { formatNames, offsetsText, parseCount, required } from './words.ts';

const HISTORY_PAGE = 200;

export function tableCommands(program: Command, run: Run): void {
  const tables = program.command('tables').description('tables and their versions');

  tables
    .command('list')
    .description('every table: rows, files, bytes, where each format stands, lag')
    .action(
      run(async ({ session, output }) => {
        const reports = await Promise.all((await listTables(session)).map((table) => reportTable(session, table)));
        output.table(TABLE_HEADINGS, reports.map(tableRow), reports);
      }),
    );

  tables
    .command('describe <table>')
    .description('one table: location, schema, and where each format stands')
    .addHelpText('after', '\nExample:\n  millrace tables describe demo.orders')
    .action(
      run(async ({ session, output, args }) => {
        const { table } = await session.ledger().getTable({ table: parseTableName(args[0]!) });
        const report = await reportTable(session, required(table, 'a table'));
        const { topic, iceberg, delta } = report;
        const schema = JSON.parse(report.table.tableSchemaJson) as {
          fields: { id: number; name: string; type: unknown; required: boolean }[];
        };
        output.fields(
          [
            ['table', formatTableName(report.table.table!)],
            ['topic', report.table.topic],
            ['location', report.table.location],
            ['formats', formatNames(report.table.formats)],
            ['ledger version', `${report.table.version} (oldest kept: ${report.table.oldestVersion})`],
            ['rows', count(topic?.recordCount ?? 0n)],
            ['files', `${count(topic?.fileCount ?? 0n)} (${bytes(topic?.sizeBytes ?? 0n)})`],
            ['lag', count(topic?.lag ?? 0n)],
            [
              'iceberg',
              iceberg?.exists
                ? `snapshot ${iceberg.snapshotId} at ledger version ${iceberg.ledgerVersion}, ${iceberg.snapshotCount} snapshots, ${iceberg.enabled ? 'followed' : 'switched off'}`
                : 'none',
            ],
            ['  metadata', iceberg?.metadataLocation ?? ''],
            ['  catalog', iceberg?.catalogUri ?? ''],
            [
              'delta',
              delta?.exists
                ? `version ${delta.deltaVersion} at ledger version ${delta.ledgerVersion}, protocol ${delta.minReaderVersion}/${delta.minWriterVersion}, ${delta.enabled ? 'followed' : 'switched off'}`
                : 'none',
            ],
            ...[iceberg?.error, delta?.error].flatMap((error): [string, string][] =>
              error === undefined ? [] : [['error', error.message]],
            ),
            ...schema.fields.map((field): [string, string] => [
              `column ${field.id}`,
              `${field.name}  ${typeText(field.type)}${field.required ? '' : '  optional'}`,
            ]),
          ],
          report,
        );
      }),
    );

  tables
    .command('history <table>')
    .description('the ledger’s versions, newest last')
    .option('--last <n>', 'only the last n', parseCount, 20)
    .action(
      run(async ({ session, output, options, args }) => {
        const table = parseTableName(args[0]!);
        const last = options['last'] as number;
        const current = required((await session.ledger().getTable({ table })).table, 'a table');
        const from = [current.oldestVersion - 1n, current.version - BigInt(last)].reduce((a, b) => (a > b ? a : b));
        const versions = [];
        for (let after = from < 0n ? 0n : from, more = true; more; ) {
          const page = await session
            .ledger()
            .listVersions({ table, afterVersion: after, pageSize: HISTORY_PAGE, withoutFiles: true });
          versions.push(...page.versions);
          after = page.versions.at(-1)?.version ?? after;
          more = page.more && page.versions.length > 0;
        }
        output.table(
          ['version', 'time', 'kind', 'schema', 'formats', 'offsets', 'read to'],
          versions.map((version) => [
            String(version.version),
            time(version.createdMs),
            enumName(VersionKind, version.kind),
            String(version.schemaId),
            formatNames(version.formats),
            offsetsText(version.offsets),
            offsetsText(version.positions),
          ]),
          versions,
        );
      }),
    );
}

function typeText(type: unknown): string {
  if (typeof type === 'string') return type;
  const nested = type as {
    type: string;
    element?: unknown;
    key?: unknown;
    value?: unknown;
    fields?: { name: string; type: unknown }[];
  };
  switch (nested.type) {
    case 'list':
      return `list<${typeText(nested.element)}>`;
    case 'map':
      return `map<${typeText(nested.key)}, ${typeText(nested.value)}>`;
    default:
      return `struct<${(nested.fields ?? []).map((field) => `${field.name}: ${typeText(field.type)}`).join(', ')}>`;
  }
}
