import type { Attributes, BatchObservableCallback, Meter, Observable } from '@opentelemetry/api';
import {
  type CounterName,
  type HistogramName,
  type LabelsOf,
  METRICS,
  type MetricDefinition,
  type MetricName,
  type ObservedName,
} from './metric-catalog.ts';
import { serviceOf } from './service.ts';

/** Seconds, from a cached answer to a slow conversion: few, since each is a line of every series. */
const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 30, 120, 300];
/** Labels whose values come from outside. */
const BOUNDED = ['millrace.topic', 'millrace.table'] as const;
const OTHER = 'other';

let meter: Meter | undefined;
let mostValues = 500;
const values = new Map<string, Set<string>>();
const counters = new Map<string, { add(value: number, attributes: Attributes): void }>();
const histograms = new Map<string, { record(value: number, attributes: Attributes): void }>();
const observables = new Map<string, Observable>();
const processWide: (() => void)[] = [];

/** From now on metrics are kept (undefined: no more); `most` values of a topic's or table's label have series of their own. */
export function useMeter(of: Meter | undefined, most: number): void {
  meter = of;
  mostValues = most;
  for (const known of [values, counters, histograms, observables]) known.clear();
  for (const register of processWide) register();
}

/** `observe` for what a package counts over the whole process: whenever metrics begin to be kept, in the process's name. */
export function observeProcessWide<N extends ObservedName>(
  names: readonly N[],
  read: (report: Report<N>) => Promise<void> | void,
): void {
  const register = () => void observe(names, read);
  processWide.push(register);
  register();
}

/** Adds to a counter. Costs nothing where metrics are not kept; meant for once a split, a call, a commit. */
export function count<N extends CounterName>(name: N, by: number, labels?: LabelsOf<N>): void {
  if (meter === undefined || by === 0) return;
  let counter = counters.get(name);
  if (counter === undefined) counters.set(name, (counter = meter.createCounter(name, optionsOf(name))));
  counter.add(by, attributesOf(labels));
}

/** Records a duration in seconds. */
export function record<N extends HistogramName>(name: N, seconds: number, labels?: LabelsOf<N>): void {
  if (meter === undefined) return;
  let histogram = histograms.get(name);
  if (histogram === undefined) {
    const options = { ...optionsOf(name), advice: { explicitBucketBoundaries: BUCKETS } };
    histograms.set(name, (histogram = meter.createHistogram(name, options)));
  }
  histogram.record(seconds, attributesOf(labels));
}

export type Report<N extends ObservedName> = <M extends N>(name: M, value: number, labels?: LabelsOf<M>) => void;

/** Reads these metrics with `read` whenever somebody looks; the answer ends that. */
export function observe<N extends ObservedName>(
  names: readonly N[],
  read: (report: Report<N>) => Promise<void> | void,
): () => void {
  const of = meter;
  if (of === undefined) return () => {};
  const instruments = names.map((name) => {
    let instrument = observables.get(name);
    if (instrument === undefined) {
      instrument =
        METRICS[name].kind === 'total'
          ? of.createObservableCounter(name, optionsOf(name))
          : of.createObservableGauge(name, optionsOf(name));
      observables.set(name, instrument);
    }
    return instrument;
  });
  const service = serviceOf();
  const callback: BatchObservableCallback = async (result) => {
    const merged = new Map<string, { name: N; value: number; attributes: Attributes }>();
    await read((name, value, labels) => {
      const attributes = attributesOf(labels, service);
      const key = `${name} ${Object.values(attributes).join('\n')}`;
      const there = merged.get(key);
      if (there === undefined) merged.set(key, { name, value, attributes });
      else there.value = METRICS[name].merge === 'max' ? Math.max(there.value, value) : there.value + value;
    });
    for (const { name, value, attributes } of merged.values()) {
      result.observe(observables.get(name)!, value, name.startsWith('millrace.') ? attributes : without(attributes));
    }
  };
  of.addBatchObservableCallback(callback, instruments);
  return () => of.removeBatchObservableCallback(callback, instruments);
}

const optionsOf = (name: MetricName) => {
  const { unit, about }: MetricDefinition = METRICS[name];
  return { unit, description: about };
};

function attributesOf(labels: Attributes = {}, service = serviceOf()): Attributes {
  const attributes: Attributes = { 'millrace.service': service, ...labels };
  for (const label of BOUNDED) {
    const value = attributes[label];
    if (typeof value === 'string') attributes[label] = bounded(label, value);
  }
  return attributes;
}

function bounded(label: string, value: string): string {
  let known = values.get(label);
  if (known === undefined) values.set(label, (known = new Set()));
  if (known.has(value)) return value;
  if (known.size >= mostValues) return OTHER;
  known.add(value);
  return value;
}

function without({ 'millrace.service': _, ...attributes }: Attributes): Attributes {
  return attributes;
}
