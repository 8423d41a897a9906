// count.mjs FOLDER [NAME OF ANOTHER FAILED STEP…]: sums vitest's JSON reports. A skipped test is a failed one here.
import { readFileSync } from 'node:fs';

const [folder, ...failedSteps] = process.argv.slice(2);
let passed = 0;
const failures = failedSteps.map((name) => `step "${name}"`);
for (const name of ['quick', 'system']) {
  let report;
  try {
    report = JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8'));
  } catch (error) {
    failures.push(`the ${name} tests left no report: ${error.message}`);
    continue;
  }
  const before = failures.length;
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed++;
      else failures.push(`${test.status}: ${test.fullName} ${test.failureMessages?.join('\n') ?? ''}`);
    }
    // A file that fails before its first test, or after its last.
    if (file.status === 'failed' && file.assertionResults.every((test) => test.status === 'passed')) {
      failures.push(`${file.name}: ${file.message}`);
    }
  }
  if (report.testResults.length === 0) failures.push(`the ${name} tests: no test ran`);
  else if (!report.success && failures.length === before) failures.push(`the ${name} tests failed outside any test`);
}
for (const failure of failures) console.log(`failed: ${failure}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
