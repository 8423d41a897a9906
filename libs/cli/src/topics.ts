import { formatTableName, parseTableName } from '@millrace/base';
import type { ErrorPolicy, TableFormat } from '@millrace/proto/common';
import { type RecordFormat, TopicState, type TopicStatus } from '@millrace/proto/metadata_discovery';
import type { Command } from 'commander';
import { bytes, count, enumName, time } from './output.ts';
import type { Run } from './program.ts';
import {
  formatNames,
  parseBytes,
  parseDuration,
  parseFormats,
  parsePolicy,
  parseRecordFormat,
  policyName,
  required,
} from './words.ts';

const PAGE_SIZE = 500;

interface SettingFlags {
  formats?: TableFormat[];
  onError?: ErrorPolicy;
  commitInterval?: bigint;
  commitBytes?: bigint;
}

type RecordFormatInit = ReturnType<typeof parseRecordFormat>;

const settingFlags = (command: Command) =>
  command
    .option('--formats <list>', 'iceberg, delta or iceberg,delta', parseFormats)
    .option('--on-error <policy>', 'what to do with a record that cannot be decoded: suspend, skip or log', parsePolicy)
    .option('--commit-interval <duration>', 'commit at least this often, 1s or more (60s)', parseDuration)
    .option('--commit-bytes <bytes>', 'commit when this many bytes of data files wait (128M)', parseBytes);

export function topicCommands(program: Command, run: Run): void {
  const topics = program.command('topics').description('topics and the tables they feed');

  topics
    .command('list')
    .description('topics with their tables; with --available also those that have none yet')
    .option('--available', 'also topics of the source without a table')
    .action(
      run(async ({ session, output, options }) => {
        const all: TopicStatus[] = [];
        const available: string[] = [];
        for (let pageToken = '', first = true; first || pageToken !== ''; first = false) {
          const page = await session
            .topics()
            .listTopics({ includeAvailable: options['available'] === true, pageSize: PAGE_SIZE, pageToken });
          all.push(...page.topics);
          available.push(...page.available);
          pageToken = page.nextPageToken;
        }
        output.table(
          ['topic', 'table', 'state', 'formats', 'on error', 'partitions', 'rows', 'lag', 'error'],
          [
            ...all.map((status) => [
              status.topic,
              status.table === undefined ? '' : formatTableName(status.table),
              stateName(status),
              formatNames(status.settings?.formats ?? []),
              policyName(status.settings?.errorPolicy ?? 0),
              count(status.partitions.length),
              count(status.recordCount),
              count(status.lag),
              shorten(status.error?.message ?? ''),
            ]),
            ...available.map((topic) => [topic, '', 'not enabled', '', '', '', '', '', '']),
          ],
          { topics: all, available },
        );
      }),
    );

  settingFlags(topics.command('enable <topic>'))
    .description('turn a topic into a table')
    .option('--table <namespace.name>', 'the table (default: the configured namespace, the topic’s name)')
    .option(
      '--value <format>',
      'how values are encoded (default: as the topic’s newest schema says)',
      parseRecordFormat,
    )
    .option('--key <format>', 'how keys are encoded (default: likewise)', parseRecordFormat)
    .addHelpText(
      'after',
      '\nExample:\n  millrace topics enable orders --table shop.orders --formats iceberg,delta --on-error log' +
        '\n  millrace topics enable clicks --value json' +
        '\n  millrace topics enable rides --value protobuf,schema=17,message=city.Ride --key string' +
        '\n\nFormats: avro, protobuf and json have a schema id before each record, or schema=<id> for all of them, and json\nneither when it is kept as text; bytes, string, none.',
    )
    .action(
      run(async ({ session, output, options, args }) => {
        const flags = options as SettingFlags & { table?: string; value?: RecordFormatInit; key?: RecordFormatInit };
        const { status } = await session.topics().enableTopic({
          topic: args[0]!,
          ...(flags.table === undefined ? {} : { table: parseTableName(flags.table) }),
          settings: {
            ...settingsOf(flags),
            ...(flags.value === undefined ? {} : { valueFormat: flags.value }),
            ...(flags.key === undefined ? {} : { keyFormat: flags.key }),
          },
        });
        printStatus(output, required(status, 'a status'));
      }),
    );

  settingFlags(topics.command('update <topic>'))
    .description('change formats, error policy or commit cadence of a running topic; no row is rewritten')
    .addHelpText('after', '\nExample:\n  millrace topics update orders --formats iceberg,delta')
    .action(
      run(async ({ session, output, options, args }) => {
        const { status } = await session
          .topics()
          .updateTopic({ topic: args[0]!, ...settingsOf(options as SettingFlags) });
        printStatus(output, required(status, 'a status'));
      }),
    );

  topics
    .command('disable <topic>')
    .description('end a topic’s table, or one of its formats; what is written stays readable')
    .option('--format <format>', 'only this format: iceberg or delta', parseFormats)
    .option('--purge', 'also remove the tables from the catalogs and delete their files')
    .addHelpText(
      'after',
      '\nExamples:\n  millrace topics disable orders --format delta   the Iceberg table goes on\n  millrace topics disable orders --purge          nothing remains',
    )
    .action(
      run(async ({ session, output, options, args }) => {
        const topic = args[0]!;
        const dropped = options['format'] as TableFormat[] | undefined;
        if (dropped === undefined) {
          await session.topics().dropTopic({ topic, purge: options['purge'] === true });
          output.fields(
            [
              ['topic', topic],
              ['state', 'dropped'],
            ],
            { topic, state: 'dropped' },
          );
          return;
        }
        const { status } = await session.topics().describeTopic({ topic });
        const formats = (status?.settings?.formats ?? []).filter((format) => !dropped.includes(format));
        if (formats.length === 0) {
          output.say(`${topic} has no other format: this ends its table`);
          await session.topics().dropTopic({ topic, purge: options['purge'] === true });
          return;
        }
        const updated = await session.topics().updateTopic({ topic, formats });
        printStatus(output, required(updated.status, 'a status'));
      }),
    );

  for (const verb of ['pause', 'resume'] as const) {
    topics
      .command(`${verb} <topic>`)
      .description(verb === 'pause' ? 'stop reading a topic' : 'go on after a pause or a suspension')
      .action(
        run(async ({ session, output, args }) => {
          const { status } = await session
            .topics()
            [verb === 'pause' ? 'pauseTopic' : 'resumeTopic']({ topic: args[0]! });
          printStatus(output, required(status, 'a status'));
        }),
      );
  }

  topics
    .command('describe <topic>')
    .description('everything about a topic: settings, partitions, lag, errors')
    .action(
      run(async ({ session, output, args }) => {
        const { status } = await session.topics().describeTopic({ topic: args[0]! });
        printStatus(output, required(status, 'a status'));
      }),
    );
}

const settingsOf = (flags: SettingFlags) => ({
  ...(flags.formats === undefined ? {} : { formats: flags.formats }),
  ...(flags.onError === undefined ? {} : { errorPolicy: flags.onError }),
  ...(flags.commitInterval === undefined ? {} : { commitIntervalMs: flags.commitInterval }),
  ...(flags.commitBytes === undefined ? {} : { commitBytes: flags.commitBytes }),
});

const stateName = (status: TopicStatus): string => enumName(TopicState, status.state);

// As --value takes it.
const formatText = ({ encoding, framing, fixedSchemaId, message, nanos }: Partial<RecordFormat> = {}): string => {
  const options = { framing: framing === 'none' ? '' : framing, schema: fixedSchemaId || '', message, nanos };
  const named = Object.entries(options).filter(([, value]) => value);
  return [encoding ?? '', ...named.map(([name, value]) => `${name}=${value}`)].join(',');
};

const shorten = (text: string): string => (text.length > 80 ? text.slice(0, 79) + '…' : text);

function printStatus(
  output: { fields: (pairs: [string, string][], json: unknown) => void },
  status: TopicStatus,
): void {
  const { settings } = status;
  const pairs: [string, string][] = [
    ['topic', status.topic],
    ['table', status.table === undefined ? '' : formatTableName(status.table)],
    ['state', stateName(status)],
    ['formats', formatNames(settings?.formats ?? [])],
    ['values', formatText(settings?.valueFormat)],
    ['keys', formatText(settings?.keyFormat)],
    ['on error', policyName(settings?.errorPolicy ?? 0)],
    ['commit', `every ${Number(settings?.commitIntervalMs ?? 0n) / 1_000} s or ${bytes(settings?.commitBytes ?? 0n)}`],
    ['location', status.location],
    ['rows', count(status.recordCount)],
    ['files', `${count(status.fileCount)} (${bytes(status.sizeBytes)})`],
    ['ledger version', count(status.ledgerVersion)],
    ['last commit', time(status.lastCommitMs)],
    ['lag', `${count(status.lag)} offsets, ${count(status.pendingSplits)} splits pending`],
    ['skipped', count(status.skippedCount)],
    ['dead letters', count(status.deadLetterCount)],
    ...status.partitions.map((p): [string, string] => [
      `partition ${p.partition}`,
      `committed [${p.startOffset}, ${p.committedOffset}), planned to ${p.plannedOffset}, source ends at ${p.sourceEndOffset}`,
    ]),
  ];
  if (status.error !== undefined) {
    pairs.push(['error', `${status.error.message} (${status.error.code})`]);
    for (const [name, value] of Object.entries(status.error.context)) pairs.push([`  ${name}`, value]);
    if (status.state === TopicState.SUSPENDED) {
      pairs.push([
        'what to do',
        `mend the cause, or let such records go (millrace topics update ${status.topic} --on-error log), then: millrace topics resume ${status.topic}`,
      ]);
    }
  }
  output.fields(pairs, status);
}
