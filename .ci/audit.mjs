// audit.mjs FOLDER: known vulnerabilities of what is shipped (high and above fail), and its bill of materials
// (CycloneDX) as FOLDER/sbom.cdx.json. A registry that can't be asked is said in a line that begins "NOT AUDITED"; it is
// a failure too where MILLRACE_AUDIT=required.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder] = process.argv.slice(2);
const failures = [];

const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--audit-level=high', '--json'], {
  encoding: 'utf8',
  timeout: 120_000,
  maxBuffer: 64 * 1024 * 1024,
});
let report = {};
try {
  report = JSON.parse(stdout);
} catch {
  report.message = error?.message ?? 'npm audit did not answer with JSON';
}
const counts = report.metadata?.vulnerabilities;
if (counts === undefined) {
  console.log(
    `NOT AUDITED: the registry has no answer about vulnerabilities (${report.message ?? report.error?.summary})`,
  );
  if (process.env.MILLRACE_AUDIT === 'required') failures.push('not audited, and MILLRACE_AUDIT=required');
} else {
  console.log(`audited ${report.metadata.dependencies?.prod ?? '?'} packages: ${JSON.stringify(counts)}`);
  for (const { name, severity, range, fixAvailable } of Object.values(report.vulnerabilities)) {
    if (severity !== 'high' && severity !== 'critical') continue;
    failures.push(`${name} ${range}: ${severity}${fixAvailable ? '; npm audit fix knows a version without it' : ''}`);
  }
}

// npm's own --omit=dev also leaves out what is shipped when something of the workshop uses it too: the lock file decides.
const sbom = JSON.parse(
  execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }),
);
if (sbom.bomFormat !== 'CycloneDX') failures.push('the bill of materials is not CycloneDX');
const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
/** By "name@version": whether it must be there, or only may (another platform's). */
const shipped = new Map();
for (const [path, { name, version, dev, devOptional, optional, link }] of Object.entries(packages)) {
  if (!path.includes('node_modules/') || dev || devOptional || link) continue;
  // An alias has the package's own name beside it.
  shipped.set(`${name ?? path.split('node_modules/').at(-1)}@${version}`, !optional);
}
const idOf = ({ group, name, version }) => `${group ? `${group}/` : ''}${name}@${version}`;
sbom.components = sbom.components.filter((one) => shipped.has(idOf(one)));
const kept = new Set([sbom.metadata.component['bom-ref'], ...sbom.components.map((one) => one['bom-ref'])]);
sbom.dependencies = sbom.dependencies
  .filter(({ ref }) => kept.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((one) => kept.has(one)) }));
const listed = new Set(sbom.components.map(idOf));
for (const [id, isRequired] of shipped) {
  if (isRequired && !listed.has(id)) failures.push(`${id} is shipped and not in the bill of materials`);
}
writeFileSync(join(folder, 'sbom.cdx.json'), JSON.stringify(sbom, null, 2));
console.log(`${sbom.components.length} components in ${join(folder, 'sbom.cdx.json')}`);

for (const failure of failures) console.error(`audit: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
