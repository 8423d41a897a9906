import { expect, test } from 'vitest';
import { checkHistory, compareEvidence, type Evidence, parsePositions, type Step } from './verify.ts';

const step = (ledgerVersion: bigint, positions: string, added?: string): Step => ({
  label: `version ${ledgerVersion}`,
  ledgerVersion,
  positions: parsePositions(positions),
  ...(added === undefined ? {} : { added: parsePositions(added) }),
});
const evidence = (steps: Step[], files: [string, bigint][] = [], source = 'ledger'): Evidence => ({
  source,
  steps,
  files: new Map(files),
  filesVersion: steps.at(-1)?.ledgerVersion ?? 0n,
  truncated: false,
});
const problems = (...steps: Step[]) => checkHistory(evidence(steps)).map(({ problem }) => problem);

test('a contiguous history holds: appends, a new partition, a rewrite, the whole state again', () => {
  expect(
    problems(
      step(1n, '{}', '{}'),
      step(2n, '{"0":[5,10]}', '{"0":[5,10]}'),
      step(3n, '{"0":[5,20],"1":[0,3]}', '{"0":[10,20],"1":[0,3]}'),
      step(4n, '{"0":[5,20],"1":[0,3]}', '{}'),
      step(9n, '{"0":[5,30],"1":[0,4]}', '{"0":[5,30],"1":[0,4]}'),
    ),
  ).toEqual([]);
});

test.each([
  ['a gap', step(2n, '{"0":[0,20]}', '{"0":[12,20]}'), 'gap in partition 0: [10, 12)'],
  ['an overlap', step(2n, '{"0":[0,20]}', '{"0":[8,20]}'), 'overlap in partition 0: [8, 10)'],
  ['an end that is not what was added', step(2n, '{"0":[0,20]}', '{"0":[10,19]}'), 'ends at 20, what it adds at 19'],
  ['a step back', step(2n, '{"0":[0,9]}'), 'went back from 10 to 9'],
  ['a start that moves', step(2n, '{"0":[1,12]}'), 'starts at 1, before it did at 0'],
  ['a partition that vanishes', step(2n, '{"1":[0,1]}'), 'partition 0 has vanished'],
  ['a version that falls', step(0n, '{"0":[0,10]}'), 'carries ledger version 0, after 1'],
])('%s is found', (_, second, message) => {
  expect(problems(step(1n, '{"0":[0,10]}'), second).join()).toContain(message);
});

test('a projection that differs from the ledger is found: offsets, files, rows', () => {
  const ledger = evidence(
    [step(1n, '{"0":[0,5]}'), step(2n, '{"0":[0,10]}')],
    [
      ['a', 5n],
      ['b', 5n],
    ],
  );
  const same = evidence(
    [step(2n, '{"0":[0,10]}')],
    [
      ['a', 5n],
      ['b', 5n],
    ],
    'delta',
  );
  expect(compareEvidence(ledger, same)).toEqual([]);
  const lagging = evidence([step(1n, '{"0":[0,5]}')], [['a', 5n]], 'delta');
  expect(compareEvidence(ledger, lagging)).toEqual([]);
  const wrong = evidence(
    [step(2n, '{"0":[0,9]}')],
    [
      ['a', 4n],
      ['c', 5n],
    ],
    'delta',
  );
  expect(compareEvidence(ledger, wrong).map(({ problem }) => problem)).toEqual([
    'version 2: partition 0 is [0, 9), the ledger says [0, 10) at version 2',
    'file a has 4 rows, the ledger says 5',
    'file b of the ledger is missing',
    'file c is not in the ledger',
  ]);
});
