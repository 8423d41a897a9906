import { enableCompileCache } from 'node:module';
import { COMPILE_CACHE } from './compile-cache.ts';

// Before anything else is loaded. A folder that can't be written costs the cache, nothing more.
enableCompileCache(COMPILE_CACHE);
await import('./main.ts');
