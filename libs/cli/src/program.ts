import { toMillraceError } from '@millrace/base';
import { Command, CommanderError, Option } from 'commander';
import { catalogCommands } from './catalogs.ts';
import { maintenanceCommands } from './maintenance.ts';
import { createOutput, type Output, toJson } from './output.ts';
import { openSession, type Session, type SessionOptions } from './session.ts';
import { tableCommands } from './tables.ts';
import { topicCommands } from './topics.ts';
import { verifyCommand } from './verify-command.ts';

/** What a command works with. `exitWith` sets the exit code without an error message. */
export interface Invocation {
  session: Session;
  output: Output;
  options: Record<string, unknown>;
  args: string[];
  exitWith(code: number): void;
}

/** Turns a command's body into a commander action: session opened and closed, errors printed, exit code kept. */
export type Run = (body: (invocation: Invocation) => Promise<void>) => (...given: unknown[]) => Promise<void>;

/** Exit codes: 0 done; 1 the check or job failed; 2 wrong usage; 3 a service can't be reached; 4 any other error. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3, error: 4 } as const;

/** Runs one command line; resolves with the exit code. */
export async function runCommandLine(
  argv: string[],
  write: (text: string) => void = console.log,
  writeError: (text: string) => void = console.error,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = new Command('millrace')
    .description('Kafka topics as Iceberg and Delta tables')
    .version('0.1.0')
    .option('--data-dir <folder>', 'data folder of a running `npm start` (MILLRACE_DATA_DIR, ./data)')
    .addOption(
      new Option('--address <service=host:port>', 'address of a service, when there is no data folder; may be repeated')
        .env('MILLRACE_ADDRESS')
        .argParser((pairs: string, before: string[] = []) => [...before, ...pairs.trim().split(/\s+/)]),
    )
    .addOption(
      new Option('--tls-certificate-file <pem>', 'certificate to show to services').env(
        'MILLRACE_TLS_CERTIFICATE_FILE',
      ),
    )
    .addOption(new Option('--tls-key-file <pem>', 'its private key').env('MILLRACE_TLS_KEY_FILE'))
    .addOption(
      new Option('--tls-authority-file <pem>', 'the authority whose certificates services must have').env(
        'MILLRACE_TLS_AUTHORITY_FILE',
      ),
    )
    .addOption(
      new Option('--plaintext', 'no TLS beyond loopback: only where the network encrypts by itself').env(
        'MILLRACE_PLAINTEXT',
      ),
    )
    .option('--json', 'one JSON document instead of tables')
    .showHelpAfterError('(millrace --help lists the commands)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => write(text.trimEnd()), writeErr: (text) => writeError(text.trimEnd()) })
    .addHelpText(
      'after',
      `
Examples:
  millrace topics list --available
  millrace topics enable orders --formats iceberg,delta
  millrace tables describe demo.orders
  millrace verify demo.orders --rows
  millrace maintenance run demo.orders compact --dry-run

Exit codes: 0 done, 1 a check or job failed, 2 wrong usage, 3 a service can't be reached, 4 any other error.`,
    );

  const run: Run =
    (body) =>
    async (...given) => {
      const command = given.at(-1) as Command;
      const global = program.opts<SessionOptions & { json?: boolean }>();
      try {
        const session = openSession(global);
        try {
          await body({
            session,
            output: createOutput(global.json === true, write),
            options: command.opts(),
            args: command.processedArgs as string[],
            exitWith: (code) => {
              exitCode = code;
            },
          });
        } finally {
          session.close();
        }
      } catch (thrown) {
        const error = toMillraceError(thrown);
        exitCode = error.kind === 'unavailable' ? EXIT.unreachable : error.kind === 'invalid' ? EXIT.usage : EXIT.error;
        if (global.json) {
          const { kind, code, message, context } = error;
          write(toJson({ error: { kind, code, message, context } }));
        } else writeError(`millrace: ${error.message}`);
      }
    };

  topicCommands(program, run);
  tableCommands(program, run);
  verifyCommand(program, run);
  catalogCommands(program, run);
  maintenanceCommands(program, run);

  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  return exitCode;
}
