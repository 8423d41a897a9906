import type { DataSet } from './data-set.ts';
import { large } from './large.ts';
import { orders } from './orders.ts';
import { ordersJson } from './orders-json.ts';
import { ordersProtobuf } from './orders-protobuf.ts';
import { tiny } from './tiny.ts';
import { updates } from './updates.ts';
import { wide } from './wide.ts';

export const DATA_SETS: readonly DataSet[] = [orders, wide, ordersProtobuf, ordersJson, tiny, large, updates];

export function dataSetOf(name: string): DataSet {
  const found = DATA_SETS.find((dataSet) => dataSet.name === name);
  if (found === undefined) throw new Error(`no such data set: ${name}`);
  return found;
}
