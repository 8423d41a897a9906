export * from './log.ts';
export { METRICS, prometheusName } from './metric-catalog.ts';
export { count, observe, observeProcessWide, type Report, record } from './metrics.ts';
export * from './sdk.ts';
export { inService } from './service.ts';
export * from './shared-span.ts';
export {
  contextOf,
  currentTraceparent,
  detached,
  failSpan,
  type SpanOptions,
  startSpan,
  traceparentOf,
  untraced,
  withSpan,
  withTraceparent,
} from './trace.ts';
