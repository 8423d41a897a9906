import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePartitionFolder } from '@millrace/kafka-log';
import { runPython } from '../peers/python.ts';

interface ParsedFamily {
  type: string;
  help: string;
  samples: [name: string, labels: Record<string, string>, value: string][];
}

export interface Family {
  type: string;
  help: string;
  labels: Set<string>;
}

export interface Scraped {
  /** By the names that Prometheus stores, of all endpoints together. */
  families: Map<string, Family>;
  /** Of the only sample that has these labels; throws when there is none, or several. */
  valueFor(name: string, labels: Record<string, string>): number;
}

/** What the endpoints expose, read by Prometheus' own parser. */
export async function scrape(python: string, uris: readonly string[], folder: string): Promise<Scraped> {
  const files = await Promise.all(
    uris.map(async (uri, i) => {
      const response = await fetch(uri);
      if (response.status !== 200) throw new Error(`${uri}: ${response.status} ${await response.text()}`);
      const file = join(folder, `metrics-${i}.txt`);
      await writeFile(file, await response.text());
      return file;
    }),
  );
  const parsed = await runPython<Record<string, Record<string, ParsedFamily>>>(python, 'metrics.py', files);
  const families = new Map<string, Family>();
  const samples: ParsedFamily['samples'] = [];
  for (const [name, { type, help, samples: own }] of Object.values(parsed).flatMap(Object.entries)) {
    // The parser leaves a counter's suffix to its samples.
    const full = type === 'counter' ? `${name}_total` : name;
    const family = families.get(full) ?? { type, help, labels: new Set() };
    families.set(full, family);
    for (const sample of own) {
      samples.push(sample);
      for (const label of Object.keys(sample[1])) family.labels.add(label);
    }
  }
  return {
    families,
    valueFor(name, labels) {
      const fits = samples.filter(
        ([own, its]) => own === name && Object.entries(labels).every(([label, value]) => its[label] === value),
      );
      if (fits.length !== 1) throw new Error(`${fits.length} samples of ${name} with ${JSON.stringify(labels)}`);
      return Number(fits[0]![2]);
    },
  };
}

/** The folder of the topic's first partition that the log has. */
export async function partitionFolderOf(logDir: string, topic: string): Promise<string> {
  const folders = (await readdir(logDir)).sort();
  return join(logDir, folders.find((name) => parsePartitionFolder(name)?.topic === topic)!);
}
