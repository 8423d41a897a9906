import { formatTableName, parseTableName } from '@millrace/base';
import type { Publication } from '@millrace/proto/catalog_publisher';
import type { Command } from 'commander';
import { type Output, time } from './output.ts';
import { EXIT, type Run } from './program.ts';

export function catalogCommands(program: Command, run: Run): void {
  const catalogs = program.command('catalogs').description('outside catalogs that point at the tables');

  catalogs
    .command('add <name>')
    .description('publish tables to an outside catalog')
    .requiredOption('--uri <uri>', 'its address, such as http://catalog:8181')
    .option('--kind <kind>', 'iceberg-rest', 'iceberg-rest')
    .option('--warehouse <name>', 'its warehouse')
    .option('--namespace <name>', 'the namespace there (default: the table’s own)')
    .option('--token <source>', 'bearer token from env:NAME or file:PATH')
    .option('--tables <patterns...>', 'namespace.name, namespace.* or *')
    .addHelpText(
      'after',
      '\nExample:\n  millrace catalogs add polaris --uri http://polaris:8181/api/catalog --warehouse lake --token env:POLARIS_TOKEN',
    )
    .action(
      run(async ({ session, output, options, args }) => {
        const text = (name: string) => (options[name] as string | undefined) ?? '';
        const integration = {
          name: args[0]!,
          kind: text('kind'),
          uri: text('uri'),
          warehouse: text('warehouse'),
          namespace: text('namespace'),
          tokenSource: text('token'),
          tables: (options['tables'] as string[] | undefined) ?? [],
        };
        await session.publisher().addIntegration({ integration });
        output.fields(
          [
            ['catalog', integration.name],
            ['uri', integration.uri],
          ],
          integration,
        );
      }),
    );

  catalogs
    .command('list')
    .description('outside catalogs and what each table’s pointer says there')
    .action(
      run(async ({ session, output }) => {
        const { integrations } = await session.publisher().listIntegrations({});
        const { publications } = await session.publisher().listPublications({});
        output.table(
          ['catalog', 'kind', 'uri', 'tables', 'published', 'errors'],
          integrations.map((integration) => {
            const own = publications.filter((publication) => publication.integration === integration.name);
            return [
              integration.name,
              integration.kind,
              integration.uri,
              integration.tables.join(', ') || '*',
              String(own.filter((publication) => publication.publishedMs > 0n).length),
              own.flatMap(({ error }) => (error === undefined ? [] : [error.message])).join('; '),
            ];
          }),
          { integrations, publications },
        );
      }),
    );

  catalogs
    .command('remove <name>')
    .description('stop publishing to a catalog')
    .option('--withdraw', 'also drop its tables there (never their files)')
    .action(
      run(async ({ session, output, options, args }) => {
        await session.publisher().removeIntegration({ name: args[0]!, withdraw: options['withdraw'] === true });
        output.fields(
          [
            ['catalog', args[0]!],
            ['state', 'removed'],
          ],
          { name: args[0]!, removed: true },
        );
      }),
    );

  catalogs
    .command('publish [name]')
    .description('publish now, read back, repair drift; exit code 1 when a table failed')
    .option('--table <namespace.name>', 'only this table')
    .action(
      run(async ({ session, output, options, args, exitWith }) => {
        const table = options['table'] === undefined ? {} : { table: parseTableName(options['table'] as string) };
        const { publications } = await session.publisher().publishNow({ integration: args[0] ?? '', ...table });
        printPublications(output, publications);
        if (publications.some(({ error }) => error !== undefined)) exitWith(EXIT.failed);
      }),
    );
}

function printPublications(output: Output, publications: Publication[]): void {
  output.table(
    ['catalog', 'table', 'published', 'pointer', 'drift', 'error'],
    publications.map((publication) => [
      publication.integration,
      publication.table === undefined ? '' : formatTableName(publication.table),
      time(publication.publishedMs),
      publication.pointer,
      publication.drifted ? `points at ${publication.seenPointer}` : '',
      publication.error?.message ?? '',
    ]),
    publications,
  );
}
