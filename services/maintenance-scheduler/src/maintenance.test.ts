import { expect, test } from 'vitest';
import { idleMaintenance, receiveMaintenance } from './maintenance.ts';

test('a table has so many jobs waiting and no more', () => {
  const request = (id: number) => ({ id, kind: 'sweep', dryRun: false, overrides: {}, automatic: false }) as const;
  let state = idleMaintenance;
  for (let id = 0; id <= 20; id++) {
    const step = receiveMaintenance(state, { kind: 'run', request: request(id) });
    expect(step.effects.filter(({ kind }) => kind === 'refuse')).toEqual([]);
    state = step.state;
  }
  for (let id = 21; id < 100; id++) {
    const { state: after, effects } = receiveMaintenance(state, { kind: 'run', request: request(id) });
    expect(effects).toMatchObject([{ kind: 'refuse', id, error: { kind: 'exhausted', code: 'job-queue-full' } }]);
    expect(after).toBe(state);
  }
  const { state: next } = receiveMaintenance(state, { kind: 'ended', id: 0 });
  expect(next.queue).toHaveLength(19);
});
