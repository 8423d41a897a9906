import { formatTableName, parseTableName } from '@millrace/base';
import { type Job, JobKind, JobState, type Policy } from '@millrace/proto/maintenance_scheduler';
import { type Command, InvalidArgumentError } from 'commander';
import { enumName, time } from './output.ts';
import { EXIT, type Run } from './program.ts';
import { parseBytes, parseCount, parseDuration, required } from './words.ts';

const KINDS = { compact: JobKind.COMPACT, expire: JobKind.EXPIRE, sweep: JobKind.SWEEP } as const;

function parseKind(text: string): JobKind {
  const kind = KINDS[text as keyof typeof KINDS];
  if (kind === undefined) throw new InvalidArgumentError('legal: compact, expire, sweep');
  return kind;
}

const policyFlags = (command: Command) =>
  command
    .option('--compact-interval <duration>', 'time between compactions', parseDuration)
    .option('--small-file <bytes>', 'files below this size are compacted', parseBytes)
    .option('--target-file <bytes>', 'size of compacted files', parseBytes)
    .option('--min-files <n>', 'small files that must lie together', parseCount)
    .option('--expire-interval <duration>', 'time between expiries', parseDuration)
    .option('--retention <duration>', 'how long snapshots, versions and removed files stay (7d)', parseDuration)
    .option('--keep <n>', 'snapshots that stay whatever their age', parseCount)
    .option('--sweep-interval <duration>', 'time between sweeps', parseDuration)
    .option('--grace <duration>', 'objects younger than this are never swept (24h)', parseDuration);

/** The policy fields that flags name; those that are not given stay unset. */
function policyOf(options: Record<string, unknown>): Partial<Omit<Policy, '$typeName' | '$unknown'>> {
  const fields = {
    compactIntervalMs: options['compactInterval'],
    compactSmallFileBytes: options['smallFile'],
    compactTargetFileBytes: options['targetFile'],
    compactMinFiles: options['minFiles'],
    expireIntervalMs: options['expireInterval'],
    snapshotRetentionMs: options['retention'],
    snapshotKeepCount: options['keep'],
    sweepIntervalMs: options['sweepInterval'],
    sweepGraceMs: options['grace'],
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** "namespace.name", "namespace" (all its tables) or "default". */
function policyScope(text: string) {
  if (text === 'default') return { namespace: '', name: '' };
  return text.includes('.') ? parseTableName(text) : { namespace: text, name: '' };
}

export function maintenanceCommands(program: Command, run: Run): void {
  const maintenance = program.command('maintenance').description('compaction, expiry and sweeping');

  policyFlags(maintenance.command('run <table>'))
    .argument('<job>', 'compact, expire or sweep', parseKind)
    .description('run a job now; exit code 1 when it failed')
    .option('--dry-run', 'say what would be done')
    .addHelpText(
      'after',
      '\nExamples:\n  millrace maintenance run demo.orders compact --min-files 2\n  millrace maintenance run demo.orders expire --retention 0s --keep 1\n  millrace maintenance run demo.orders sweep --grace 0s --dry-run',
    )
    .action(
      run(async ({ session, output, options, args, exitWith }) => {
        const table = parseTableName(args[0]!);
        const { job } = await session.maintenance().runJob({
          table,
          kind: args[1] as unknown as JobKind,
          dryRun: options['dryRun'] === true,
          overrides: { table, ...policyOf(options) },
        });
        const done = required(job, 'a job');
        output.fields(jobFields(done), done);
        if (done.state !== JobState.SUCCEEDED) exitWith(EXIT.failed);
      }),
    );

  maintenance
    .command('history [table]')
    .description('jobs, newest first')
    .option('--last <n>', 'how many', parseCount, 20)
    .action(
      run(async ({ session, output, options, args }) => {
        const table = args[0] === undefined ? {} : { table: parseTableName(args[0]) };
        const { jobs } = await session.maintenance().listJobs({ ...table, pageSize: options['last'] as number });
        output.table(
          ['started', 'table', 'job', 'state', 'what it did'],
          jobs.map((job) => [
            time(job.startedMs),
            job.table === undefined ? '' : formatTableName(job.table),
            enumName(JobKind, job.kind) + (job.dryRun ? ' (dry run)' : ''),
            enumName(JobState, job.state),
            job.error?.message ?? job.summary,
          ]),
          jobs,
        );
      }),
    );

  policyFlags(maintenance.command('policy <scope>'))
    .description('show a policy, or set what the flags name; scope: namespace.table, namespace, or default')
    .addHelpText('after', '\nExample:\n  millrace maintenance policy demo --retention 14d --target-file 256M')
    .action(
      run(async ({ session, output, options, args }) => {
        const table = policyScope(args[0]!);
        const changes = policyOf(options);
        if (Object.keys(changes).length > 0) await session.maintenance().setPolicy({ policy: { table, ...changes } });
        const { policy, sources } = await session.maintenance().getPolicy({ table });
        const values = Object.entries(required(policy, 'a policy')).filter(
          ([name]) => !['$typeName', 'table'].includes(name),
        );
        output.table(
          ['setting', 'value', 'from'],
          values.map(([name, value]) => [name, String(value), sources[name] ?? sources[snake(name)] ?? '']),
          { policy, sources },
        );
      }),
    );
}

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => '_' + letter.toLowerCase());

const jobFields = (job: Job): [string, string][] => [
  ['job', job.jobId],
  ['table', job.table === undefined ? '' : formatTableName(job.table)],
  ['kind', enumName(JobKind, job.kind) + (job.dryRun ? ' (dry run)' : '')],
  ['state', enumName(JobState, job.state)],
  ...Object.entries(job.counts).map(([name, value]): [string, string] => [name, String(value)]),
  ['summary', job.summary],
  ...(job.error === undefined ? [] : [['error', job.error.message] as [string, string]]),
];
