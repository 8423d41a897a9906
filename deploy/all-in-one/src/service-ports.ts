/** The services that the image starts by name, and where they listen unless their settings say otherwise. */
export const SERVICE_PORTS = {
  'metadata-discovery': 7801,
  'segment-reader': 7802,
  'parquet-converter': 7803,
  'iceberg-rest-catalog': 7804,
  'delta-committer': 7805,
  'catalog-publisher': 7806,
  'maintenance-scheduler': 7807,
} as const;
export type PortedService = keyof typeof SERVICE_PORTS;

export const isService = (name: string): name is PortedService => Object.hasOwn(SERVICE_PORTS, name);
