import { defineConfig } from 'vitest/config';

// quick: beside the code, needs only Node. system: whole services, real peers (Java, Python, Docker), run one file at a time.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'quick',
          include: ['{libs,services,deploy}/**/src/**/*.test.ts', 'e2e/tidy.test.ts'],
          pool: 'threads',
          isolate: false,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['e2e/**/*.test.ts'],
          exclude: ['e2e/tidy.test.ts', '**/node_modules/**'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
