import { AggregationTemporality, InstrumentType } from '@opentelemetry/sdk-metrics';

/**
 * Counts since the start of the process; but of a gauge only what the last look found: the SDK would show a topic that was
 * dropped as it was last seen, for ever.
 */
export const temporalityOf = (type: InstrumentType): AggregationTemporality =>
  type === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE;
