import { MillraceError, type TransportSettings } from '@millrace/base';
import { CatalogPublisherService } from '@millrace/proto/catalog_publisher';
import { DeltaCommitterService } from '@millrace/proto/delta_committer';
import { IcebergCatalogService } from '@millrace/proto/iceberg_rest_catalog';
import { MaintenanceSchedulerService } from '@millrace/proto/maintenance_scheduler';
import { LedgerService, TopicService } from '@millrace/proto/metadata_discovery';
import { createClient } from '@millrace/rpc';
import {
  dataDirOf,
  type Endpoints,
  endpointsFile,
  readEndpoints,
  SERVICE_NAMES,
  type ServiceName,
} from './endpoints.ts';

export interface SessionOptions extends TransportSettings {
  dataDir?: string | undefined;
  /** "service=host:port", over what the endpoints file says. */
  address?: string[] | undefined;
}

/** Clients of the services, made when they are first asked for. */
export interface Session {
  endpoints: Endpoints | undefined;
  dataDir: string;
  /** Whether an address of the service is known (it may still be down). */
  knows(service: ServiceName): boolean;
  topics(): ReturnType<typeof createClient<typeof TopicService>>;
  ledger(): ReturnType<typeof createClient<typeof LedgerService>>;
  iceberg(): ReturnType<typeof createClient<typeof IcebergCatalogService>>;
  delta(): ReturnType<typeof createClient<typeof DeltaCommitterService>>;
  publisher(): ReturnType<typeof createClient<typeof CatalogPublisherService>>;
  maintenance(): ReturnType<typeof createClient<typeof MaintenanceSchedulerService>>;
  close(): void;
}

export function openSession(options: SessionOptions): Session {
  const dataDir = dataDirOf(options.dataDir);
  const endpoints = readEndpoints(endpointsFile(dataDir));
  const addresses = new Map(Object.entries(endpoints?.services ?? {}));
  for (const pair of options.address ?? []) {
    const [service, address] = pair.split('=');
    if (!SERVICE_NAMES.includes(service as ServiceName) || !address) {
      throw new MillraceError(
        'invalid',
        `--address ${pair}: write service=host:port, where service is one of ${SERVICE_NAMES.join(', ')}`,
        { code: 'address-invalid' },
      );
    }
    addresses.set(service!, address);
  }
  const calls = { transport: options };
  const closing: (() => void)[] = [];
  const open = <C extends { close(): void }>(service: ServiceName, make: (address: string) => C): (() => C) => {
    let client: C | undefined;
    return () => {
      if (client !== undefined) return client;
      const address = addresses.get(service);
      if (address === undefined) {
        throw new MillraceError(
          'unavailable',
          `no address of ${service}: ${endpointsFile(dataDir)} is not there. Start Millrace (npm start), name its data folder (--data-dir or MILLRACE_DATA_DIR), or give --address ${service}=host:port`,
          { code: 'no-address' },
        );
      }
      client = make(address);
      closing.push(() => client!.close());
      return client;
    };
  };
  return {
    endpoints,
    dataDir,
    knows: (service) => addresses.has(service),
    topics: open('metadata-discovery', (address) => createClient(TopicService, address, calls)),
    ledger: open('metadata-discovery', (address) => createClient(LedgerService, address, calls)),
    iceberg: open('iceberg-rest-catalog', (address) => createClient(IcebergCatalogService, address, calls)),
    delta: open('delta-committer', (address) => createClient(DeltaCommitterService, address, calls)),
    publisher: open('catalog-publisher', (address) => createClient(CatalogPublisherService, address, calls)),
    maintenance: open('maintenance-scheduler', (address) =>
      // A job is answered when it has ended.
      createClient(MaintenanceSchedulerService, address, { ...calls, timeoutMs: 3_600_000 }),
    ),
    close() {
      for (const close of closing) close();
    },
  };
}
