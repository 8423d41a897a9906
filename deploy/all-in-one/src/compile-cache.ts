import { join } from 'node:path';

/**
 * Where Node.js keeps compiled modules from one start to the next, of this process and of the services': half the CPU time
 * of a start, and 25 MB a process that never loads what strips types. Beside the packages, so it is whoever installed them.
 */
export const COMPILE_CACHE = join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'millrace');
