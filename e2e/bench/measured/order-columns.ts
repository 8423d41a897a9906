/** An order as JSON has it (data-sets/orders-json.ts). */
interface JsonOrder {
  order_id: number;
  customer_id: number;
  status: string;
  created_at: string;
  total: number;
  currency: string;
  email: string;
  note: string | null;
  address: { city: string; zip: string | null };
  items: { sku: string; quantity: number; price: number }[];
}

const BATCH_ROWS = 4096;

/** Numbers in a typed array that grows. */
function numbers() {
  let values = new Float64Array(BATCH_ROWS);
  let length = 0;
  return {
    push(value: number): void {
      if (length === values.length) values = grown(values, new Float64Array(2 * length));
      values[length++] = value;
    },
    reset: () => void (length = 0),
  };
}

/** Texts as UTF-8, one behind the other, with their ends; null is -1. */
function texts() {
  let bytes = Buffer.allocUnsafe(64 * BATCH_ROWS);
  let ends = new Int32Array(BATCH_ROWS);
  let [length, at] = [0, 0];
  return {
    push(value: string | null): void {
      if (length === ends.length) ends = grown(ends, new Int32Array(2 * length));
      if (value === null) ends[length++] = -1;
      else {
        if (at + 3 * value.length > bytes.length) bytes = grown(bytes, Buffer.allocUnsafe(2 * bytes.length));
        at += bytes.write(value, at);
        ends[length++] = at;
      }
    },
    reset(): void {
      length = 0;
      at = 0;
    },
  };
}

function grown<T extends { set(old: T): void }>(old: T, fresh: T): T {
  fresh.set(old);
  return fresh;
}

/** Columns as a program would fill them that has parsed the record: numbers, UTF-8 texts, list ends. A batch at a time. */
export function createOrderColumns() {
  const all = {
    orderId: numbers(),
    customerId: numbers(),
    status: texts(),
    createdAt: texts(),
    total: numbers(),
    currency: texts(),
    email: texts(),
    note: texts(),
    city: texts(),
    zip: texts(),
    itemEnds: numbers(),
    sku: texts(),
    quantity: numbers(),
    price: numbers(),
  };
  let [rows, items] = [0, 0];
  return {
    append(order: JsonOrder): void {
      if (++rows > BATCH_ROWS) {
        for (const column of Object.values(all)) column.reset();
        [rows, items] = [1, 0];
      }
      all.orderId.push(order.order_id);
      all.customerId.push(order.customer_id);
      all.status.push(order.status);
      all.createdAt.push(order.created_at);
      all.total.push(order.total);
      all.currency.push(order.currency);
      all.email.push(order.email);
      all.note.push(order.note);
      all.city.push(order.address.city);
      all.zip.push(order.address.zip);
      for (const item of order.items) {
        all.sku.push(item.sku);
        all.quantity.push(item.quantity);
        all.price.push(item.price);
      }
      all.itemEnds.push((items += order.items.length));
    },
  };
}
