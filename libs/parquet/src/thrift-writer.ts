/** Element types of the compact protocol, as they stand in field and list headers. */
export const THRIFT = {
  TRUE: 1,
  FALSE: 2,
  I8: 3,
  I16: 4,
  I32: 5,
  I64: 6,
  DOUBLE: 7,
  BINARY: 8,
  LIST: 9,
  SET: 10,
  MAP: 11,
  STRUCT: 12,
};

const encoder = new TextEncoder();

/**
 * Writes Thrift's compact protocol (thrift/doc/specs/thrift-compact-protocol.md):
 *
 *     struct  := field* 0x00
 *     field   := (delta << 4 | type) value  |  type zigzag16(id) value        (delta 1..15)
 *     list    := (size << 4 | type) element*  |  (0xF0 | type) varint(size) element*
 *     i16/i32/i64 := varint(zigzag(n));  binary := varint(length) bytes;  bool: in the type of its field
 *
 * 64-bit integers are numbers here: file offsets and counts stay below 2^53.
 */
export class ThriftWriter {
  #bytes = new Uint8Array(256);
  #length = 0;
  #lastId = 0;
  #outer: number[] = [];

  i32(id: number, value: number): void {
    this.#field(id, THRIFT.I32);
    this.#zigzag(value);
  }

  i16(id: number, value: number): void {
    this.#field(id, THRIFT.I16);
    this.#zigzag(value);
  }

  i8(id: number, value: number): void {
    this.#field(id, THRIFT.I8);
    this.#byte(value);
  }

  i64(id: number, value: number): void {
    this.#field(id, THRIFT.I64);
    this.#zigzag(value);
  }

  bool(id: number, value: boolean): void {
    this.#field(id, value ? THRIFT.TRUE : THRIFT.FALSE);
  }

  binary(id: number, value: Uint8Array): void {
    this.#field(id, THRIFT.BINARY);
    this.#binary(value);
  }

  string(id: number, value: string): void {
    this.binary(id, encoder.encode(value));
  }

  /** A struct field; `write` writes its fields. */
  struct(id: number, write: () => void): void {
    this.#field(id, THRIFT.STRUCT);
    this.#struct(write);
  }

  structs<T>(id: number, items: readonly T[], write: (item: T) => void): void {
    this.#list(id, THRIFT.STRUCT, items.length);
    for (const item of items) this.#struct(() => write(item));
  }

  i32s(id: number, items: readonly number[]): void {
    this.#list(id, THRIFT.I32, items.length);
    for (const item of items) this.#zigzag(item);
  }

  i64s(id: number, items: readonly number[]): void {
    this.#list(id, THRIFT.I64, items.length);
    for (const item of items) this.#zigzag(item);
  }

  bools(id: number, items: readonly boolean[]): void {
    this.#list(id, THRIFT.TRUE, items.length);
    for (const item of items) this.#byte(item ? 1 : 2);
  }

  binaries(id: number, items: readonly Uint8Array[]): void {
    this.#list(id, THRIFT.BINARY, items.length);
    for (const item of items) this.#binary(item);
  }

  strings(id: number, items: readonly string[]): void {
    this.binaries(
      id,
      items.map((item) => encoder.encode(item)),
    );
  }

  /** Ends the top struct: its bytes. */
  finish(): Uint8Array {
    this.#byte(0);
    return this.#bytes.slice(0, this.#length);
  }

  #struct(write: () => void): void {
    this.#outer.push(this.#lastId);
    this.#lastId = 0;
    write();
    this.#byte(0);
    this.#lastId = this.#outer.pop()!;
  }

  #field(id: number, type: number): void {
    const delta = id - this.#lastId;
    this.#lastId = id;
    if (delta > 0 && delta < 16) this.#byte((delta << 4) | type);
    else {
      this.#byte(type);
      this.#zigzag(id);
    }
  }

  #list(id: number, type: number, size: number): void {
    this.#field(id, THRIFT.LIST);
    if (size < 15) this.#byte((size << 4) | type);
    else {
      this.#byte(0xf0 | type);
      this.#varint(size);
    }
  }

  #binary(value: Uint8Array): void {
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #zigzag(value: number): void {
    this.#varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  #varint(value: number): void {
    while (value > 127) {
      this.#byte((value % 128) | 128);
      value = Math.floor(value / 128);
    }
    this.#byte(value);
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
