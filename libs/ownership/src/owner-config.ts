import { hostname } from 'node:os';
import { z } from 'zod';

/** The keys of services that share their work between replicas; spread it into a service's own zod object. */
export const ownerConfig = {
  replicaName: z
    .string()
    .regex(/^[\w.:-]{1,200}$/, 'use 1 to 200 of A-Z a-z 0-9 _ . : -')
    .optional()
    .describe(
      "name of this replica among those of the service: who comes back under its name goes on at once; default: the machine's name and the port",
    ),
  ownerLeaseMs: z
    .number()
    .int()
    .min(500)
    .default(15_000)
    .describe('milliseconds after which the work of a replica that is not heard of goes to the others'),
};

/** The name that a replica has when it was given none. */
export const defaultReplicaName = (port: number): string => `${hostname()}:${port === 0 ? `pid-${process.pid}` : port}`;
