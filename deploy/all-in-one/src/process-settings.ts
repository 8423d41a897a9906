import { COMPILE_CACHE } from './compile-cache.ts';

/**
 * What keeps a process small, at no CPU time that could be measured. Data lies in typed arrays, so the young generation of
 * objects needs little room: 4 MB instead of 16 take 60 MB off a converter of 200 columns. glibc gives each thread an arena
 * of its own, of which most stays unused, and keeps up to 64 MB of what is free at the heap's end: two arenas take off
 * another 80 MB, and a bound of 1 MB 40. In the image and beside it: container.ts starts services with the same.
 */
export const PROCESS_ARGUMENTS = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=4'];
export const PROCESS_ENVIRONMENT = {
  NODE_COMPILE_CACHE: COMPILE_CACHE,
  MALLOC_ARENA_MAX: '2',
  MALLOC_TRIM_THRESHOLD_: '1048576',
};
