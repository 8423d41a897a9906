import { type MillraceError, toMillraceError } from '@millrace/base';
import type { Logger } from '@millrace/telemetry';
import { type EnableDeps, enableTopic, ruleFor } from './enable.ts';

const ENABLE_AGAIN_MS = 10_000;

/** The rules of the configuration: they enable what is new; a topic that was dropped stays dropped until somebody enables it. */
export function rulesAtWork(deps: EnableDeps & { logger: Logger; onEnabled(topic: string): void }) {
  const { config, clock, logger } = deps;
  const failures = new Map<string, { error: MillraceError; againMs: number }>();
  return {
    /** Why a rule could not enable the topic. */
    errorOf: (topic: string): MillraceError | undefined => failures.get(topic)?.error,
    /** Enables the topics of the source that are not known and that a rule fits; answers whether there was one. */
    async enable(source: Iterable<string>, known: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
      let enabled = false;
      for (const topic of source) {
        const rule = known.has(topic) ? undefined : ruleFor(config, topic);
        if (rule === undefined || (failures.get(topic)?.againMs ?? 0) > clock.now()) continue;
        try {
          const { table } = await enableTopic(deps, { topic, ...rule }, signal);
          failures.delete(topic);
          enabled = true;
          deps.onEnabled(topic);
          logger.info({ topic, table }, 'topic enabled by a rule of the configuration');
        } catch (thrown) {
          if (signal.aborted) throw thrown;
          const error = toMillraceError(thrown, { topic });
          // Another replica has the same rule and was faster.
          if (error.code === 'topic-enabled') continue;
          const told = failures.get(topic)?.error.message === error.message;
          if (!told) logger.error({ topic, error }, 'a rule of the configuration could not enable the topic');
          failures.set(topic, { error, againMs: clock.now() + ENABLE_AGAIN_MS });
        }
      }
      return enabled;
    },
  };
}
