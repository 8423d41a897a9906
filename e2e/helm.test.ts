import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publisherConfig } from '@millrace/catalog-publisher';
import { deltaCommitterConfig } from '@millrace/delta-committer';
import { icebergCatalogConfig } from '@millrace/iceberg-rest-catalog';
import { maintenanceConfig } from '@millrace/maintenance-scheduler';
import { metadataDiscoveryConfig } from '@millrace/metadata-discovery';
import { parquetConverterConfig } from '@millrace/parquet-converter';
import { segmentReaderConfig } from '@millrace/segment-reader';
import { METRICS } from '@millrace/telemetry';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { requirePeers } from './peers/peers.ts';

// The chart, by helm itself: lint, and what it renders, which Kubernetes' own schemas and the services' settings take.

const chart = join(import.meta.dirname, '..', 'deploy', 'helm', 'millrace');
const SETTINGS: Record<string, z.ZodObject> = {
  'metadata-discovery': metadataDiscoveryConfig,
  'segment-reader': segmentReaderConfig,
  'parquet-converter': parquetConverterConfig,
  'iceberg-rest-catalog': icebergCatalogConfig,
  'delta-committer': deltaCommitterConfig,
  'catalog-publisher': publisherConfig,
  'maintenance-scheduler': maintenanceConfig,
};
const SERVICES = Object.keys(SETTINGS).sort();

const least = {
  logStoreUri: 's3://kafka/tiered',
  warehouseUri: 's3://lake/warehouse',
  schemaSourceUri: 'http://registry:8081',
  database: { url: 'postgres://millrace@postgres:5432/millrace', passwordSecret: { name: 'postgres' } },
  catalog: { tokenSecret: { name: 'catalog-token' } },
};

interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels: Record<string, string> };
  // biome-ignore lint/suspicious/noExplicitAny: whatever the kind has
  [key: string]: any;
}

let helm: string;
let python: string;
const scratch = mkdtempSync(join(tmpdir(), 'millrace-helm-'));

beforeEach(async (context) => {
  const folders = await requirePeers(context, 'helm');
  helm = join(folders.helm, 'bin', 'helm');
  python = join(folders.helm, 'bin', 'python');
});
afterAll(() => rmSync(scratch, { recursive: true }));

function valuesFile(...values: object[]): string[] {
  return values.flatMap((one, i) => {
    const file = join(scratch, `values-${i}.json`);
    writeFileSync(file, JSON.stringify(one));
    return ['--values', file];
  });
}

const runHelm = (command: string[], ...values: object[]) =>
  spawnSync(helm, [...command, ...valuesFile(...values)], { encoding: 'utf8' });

function render(...values: object[]): Manifest[] {
  const { status, stdout, stderr } = runHelm(['template', 'lake', chart, '--namespace', 'data'], least, ...values);
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

const ofKind = (manifests: Manifest[], kind: string) => manifests.filter((manifest) => manifest.kind === kind);
const named = (manifests: Manifest[], kind: string, name: string) =>
  ofKind(manifests, kind).find((manifest) => manifest.metadata.name === `lake-millrace-${name}`)!;

const VARIANTS: Record<string, object> = {
  'as it is': {},
  'secrets, own REST certificate, monitor': {
    tls: { mode: 'secrets', secretName: 'lake-%s' },
    catalog: { certificateSecret: 'catalog-tls', uri: 'https://lake.example.com' },
    telemetry: {
      podMonitor: { enabled: true, tlsConfig: { insecureSkipVerify: true } },
      traces: 'otlp',
      metrics: 'otlp',
    },
    env: [{ name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://collector:4317' }],
    serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::1:role/lake' } },
  },
  'a mesh, scaled by an adapter, a volume': {
    tls: { mode: 'plaintext' },
    autoscaling: { enabled: true },
    logStoreUri: 'file:///log',
    extraVolumes: [{ name: 'log', persistentVolumeClaim: { claimName: 'log', readOnly: true } }],
    extraVolumeMounts: [{ name: 'log', mountPath: '/log', readOnly: true }],
    nodeSelector: { disk: 'fast' },
    tolerations: [{ key: 'lake', operator: 'Exists' }],
    networkPolicy: { catalogFrom: [{ namespaceSelector: { matchLabels: { team: 'query' } } }] },
  },
  'scaled by KEDA, topics by a pattern': {
    autoscaling: { enabled: true, provider: 'keda' },
    topics: [{ pattern: '.*' }],
  },
};

test.each(Object.entries(VARIANTS))('%s: helm lint has nothing to say', (_, values) => {
  const { status, stdout, stderr } = runHelm(['lint', '--strict', chart], least, values);
  expect(`${stdout}${stderr}`).toContain('0 chart(s) failed');
  expect(status).toBe(0);
});

test.each(Object.entries(VARIANTS))(
  "%s: Kubernetes' schemas take every manifest, the services every setting",
  (_, values) => {
    const manifests = render(values);
    const own = manifests.filter(({ apiVersion }) => !/cert-manager|coreos|keda/.test(apiVersion));
    const check = `
import json, sys, kubernetes_validate
for manifest in json.load(sys.stdin):
    kubernetes_validate.validate(manifest, '1.31', strict=True)
`;
    execFileSync(python, ['-c', check], { input: JSON.stringify(own) });
    const names = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    expect(
      ofKind(manifests, 'Deployment')
        .map(({ metadata }) => metadata.labels['app.kubernetes.io/component'])
        .sort(),
    ).toEqual(SERVICES);
    for (const [service, schema] of Object.entries(SETTINGS)) {
      const settings = parse(named(manifests, 'ConfigMap', service)['data'][`${service}.yaml`]);
      z.strictObject(schema.shape).parse(settings);
    }
  },
);

test('every pod: no root, nothing to write to, probes, resources, a budget, a policy, certificates', () => {
  const manifests = render();
  for (const service of SERVICES) {
    const pod = named(manifests, 'Deployment', service)['spec'].template.spec;
    const [container] = pod.containers;
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(container.args).toEqual([service]);
    expect(container.readinessProbe.exec.command).toEqual(['millrace-container', 'health', service]);
    expect(container.livenessProbe.exec.command).toEqual(['millrace-container', 'health', '--liveness', service]);
    expect(container.resources).toMatchObject({ requests: { memory: expect.any(String) }, limits: {} });
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(
      SETTINGS[service]!.shape['drainMs'].parse(undefined) as number,
    );
    expect(named(manifests, 'PodDisruptionBudget', service)['spec'].maxUnavailable).toBe(1);
    expect(named(manifests, 'NetworkPolicy', service)['spec'].ingress[0].from[0].podSelector.matchLabels).toEqual({
      'app.kubernetes.io/name': 'millrace',
      'app.kubernetes.io/instance': 'lake',
    });
    expect(named(manifests, 'Certificate', service)['spec'].dnsNames).toContain(`lake-millrace-${service}.data.svc`);
    // Callers see all pods, under the name that the certificate has.
    expect(named(manifests, 'Service', service)['spec'].clusterIP).toBe('None');
  }
});

test('services know each other, the database without its password, and settings of their own', () => {
  const manifests = render({
    services: { 'parquet-converter': { config: { targetFileBytes: 67_108_864 }, env: [{ name: 'A', value: 'b' }] } },
  });
  const settings = (service: string) => parse(named(manifests, 'ConfigMap', service)['data'][`${service}.yaml`]);
  expect(settings('parquet-converter')).toMatchObject({
    discoveryAddress: 'dns:///lake-millrace-metadata-discovery:7801',
    segmentReaderAddress: 'dns:///lake-millrace-segment-reader:7802',
    targetFileBytes: 67_108_864,
  });
  expect(settings('metadata-discovery').databaseUrl).toBe(
    'postgres://millrace@postgres:5432/millrace?schema=metadata_discovery',
  );
  const environment = (service: string) =>
    named(manifests, 'Deployment', service)['spec'].template.spec.containers[0].env;
  expect(environment('metadata-discovery')).toContainEqual({
    name: 'PGPASSWORD',
    valueFrom: { secretKeyRef: { name: 'postgres', key: 'password' } },
  });
  expect(environment('parquet-converter')).toContainEqual({ name: 'A', value: 'b' });
  expect(environment('delta-committer').map(({ name }: { name: string }) => name)).not.toContain('PGPASSWORD');
});

test('a changed setting rolls the pods of its service alone', () => {
  const stamps = (manifests: Manifest[]) =>
    Object.fromEntries(
      SERVICES.map((service) => [
        service,
        named(manifests, 'Deployment', service)['spec'].template.metadata.annotations['millrace/config'],
      ]),
    );
  const before = stamps(render());
  const after = stamps(render({ services: { 'segment-reader': { config: { logLevel: 'debug' } } } }));
  expect(SERVICES.filter((service) => before[service] !== after[service])).toEqual(['segment-reader']);
});

test('scaling follows metrics that metadata-discovery has', () => {
  const manifests = render({ autoscaling: { enabled: true } });
  for (const service of ['segment-reader', 'parquet-converter']) {
    expect(named(manifests, 'Deployment', service)['spec']).not.toHaveProperty('replicas');
    const external = named(manifests, 'HorizontalPodAutoscaler', service)['spec'].metrics;
    expect(external.map((metric: Manifest) => metric['external'].metric.name)).toEqual([
      'millrace_splits_waiting',
      'millrace_lag_offsets',
    ]);
  }
  const rules = parse(readFileSync(join(chart, '..', 'prometheus-adapter.yaml'), 'utf8')).rules.external;
  expect(rules.map((rule: { name: { as: string } }) => rule.name.as)).toEqual([
    'millrace_splits_waiting',
    'millrace_lag_offsets',
  ]);
  const scaled = ofKind(render({ autoscaling: { enabled: true, provider: 'keda' } }), 'ScaledObject');
  const queries = [
    ...rules.map((rule: { metricsQuery: string }) => rule.metricsQuery),
    ...scaled.flatMap((one) => one['spec'].triggers.map((trigger: Manifest) => trigger['metadata']['query' as never])),
  ];
  const exposed = Object.keys(METRICS).map((name) => name.replaceAll('.', '_'));
  expect(queries).toHaveLength(6);
  for (const query of queries) expect(exposed).toContain(/\((millrace_\w+)\{/.exec(query)?.[1]);
});

test.each([
  ['logStoreUri', { logStoreUri: '' }, 'logStoreUri: the URI of the tiered log is required'],
  ['token', { catalog: { tokenSecret: { name: '' } } }, 'the secret with the bearer token of the catalog is required'],
  ['password', { database: { url: 'postgres://a:b@c/d' } }, 'database.url holds a password'],
  ['SQLite', { database: { url: 'sqlite:/data/x' } }, 'must begin with postgres://'],
  ['a name that there is none of', { warehouse: 's3://lake' }, 'Additional property warehouse is not allowed'],
  ['a mode that there is none of', { tls: { mode: 'off' } }, 'mode'],
])('a mistake is named: %s', (_, values, message) => {
  const { status, stderr } = runHelm(['template', 'lake', chart], least, values);
  expect(status).not.toBe(0);
  expect(stderr).toContain(message);
});
