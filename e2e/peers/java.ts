import { type CommandOptions, type CommandResult, runCommand } from './command.ts';

/** Arguments that run a class of the peer in `folder`. */
export const javaArguments = (
  folder: string,
  heapMb: number,
  main: string,
  args: readonly string[],
  logLevel = 'warn',
): string[] => [
  `-Xmx${heapMb}m`,
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  `-Dorg.slf4j.simpleLogger.defaultLogLevel=${logLevel}`,
  '-cp',
  `${folder}/classes:${folder}/lib/*`,
  main,
  ...args,
];

export const runJava = (
  folder: string,
  main: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> => runCommand('java', javaArguments(folder, 768, main, args), options);
