import { type Context, context, createContextKey } from '@opentelemetry/api';

const SERVICE = createContextKey('millrace service');
let processName = 'millrace';

/** The name of what runs outside any service's own code, and of the process itself. */
export const nameProcess = (name: string): void => void (processName = name);
export const nameOfProcess = (): string => processName;

/** Runs `action`, and whatever it starts, in the name of a service: `npm start` has several in one process. */
export const inService = <T>(name: string, action: () => T): T =>
  context.with(context.active().setValue(SERVICE, name), action);

/** In whose name this code runs. */
export const serviceOf = (of: Context = context.active()): string => (of.getValue(SERVICE) as string) ?? processName;
