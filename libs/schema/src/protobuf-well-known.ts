import { linkProtobuf } from './protobuf-link.ts';
import { parseProtobufSource } from './protobuf-parse.ts';
import type { ProtobufFile, ProtobufMessage } from './protobuf-schema.ts';

/**
 * The files that every Protobuf schema may import without giving them: google/protobuf and google/type as far as messages
 * go, Confluent's decimal. Field numbers are what counts; options and comments are left out.
 */
const SYNTAX = 'syntax = "proto3"; package ';
const PROTOBUF = `${SYNTAX}google.protobuf; `;
const TYPE = `${SYNTAX}google.type; `;

const WRAPPED: Record<string, string> = {
  Double: 'double',
  Float: 'float',
  Int64: 'int64',
  UInt64: 'uint64',
  Int32: 'int32',
  UInt32: 'uint32',
  Bool: 'bool',
  String: 'string',
  Bytes: 'bytes',
};

export const WELL_KNOWN_FILES: ReadonlyMap<string, string> = new Map([
  ['google/protobuf/any.proto', `${PROTOBUF}message Any { string type_url = 1; bytes value = 2; }`],
  ['google/protobuf/duration.proto', `${PROTOBUF}message Duration { int64 seconds = 1; int32 nanos = 2; }`],
  ['google/protobuf/empty.proto', `${PROTOBUF}message Empty {}`],
  ['google/protobuf/field_mask.proto', `${PROTOBUF}message FieldMask { repeated string paths = 1; }`],
  ['google/protobuf/source_context.proto', `${PROTOBUF}message SourceContext { string file_name = 1; }`],
  ['google/protobuf/timestamp.proto', `${PROTOBUF}message Timestamp { int64 seconds = 1; int32 nanos = 2; }`],
  [
    'google/protobuf/wrappers.proto',
    PROTOBUF +
      Object.entries(WRAPPED)
        .map(([name, type]) => `message ${name}Value { ${type} value = 1; }`)
        .join(' '),
  ],
  [
    'google/protobuf/struct.proto',
    `${PROTOBUF}message Struct { map<string, Value> fields = 1; }
    message Value { oneof kind { NullValue null_value = 1; double number_value = 2; string string_value = 3;
      bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6; } }
    enum NullValue { NULL_VALUE = 0; } message ListValue { repeated Value values = 1; }`,
  ],
  // Imported for options, which make no columns.
  ['google/protobuf/descriptor.proto', `syntax = "proto2"; package google.protobuf;`],
  [
    'confluent/meta.proto',
    `${SYNTAX}confluent; message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }`,
  ],
  [
    'confluent/type/decimal.proto',
    `${SYNTAX}confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`,
  ],
  [
    'google/type/calendar_period.proto',
    `${TYPE}enum CalendarPeriod { CALENDAR_PERIOD_UNSPECIFIED = 0; DAY = 1; WEEK = 2; FORTNIGHT = 3; MONTH = 4; QUARTER = 5; HALF = 6; YEAR = 7; }`,
  ],
  [
    'google/type/color.proto',
    `${TYPE}import "google/protobuf/wrappers.proto"; message Color { float red = 1; float green = 2; float blue = 3; google.protobuf.FloatValue alpha = 4; }`,
  ],
  ['google/type/date.proto', `${TYPE}message Date { int32 year = 1; int32 month = 2; int32 day = 3; }`],
  [
    'google/type/datetime.proto',
    `${TYPE}import "google/protobuf/duration.proto"; message DateTime { int32 year = 1; int32 month = 2; int32 day = 3;
    int32 hours = 4; int32 minutes = 5; int32 seconds = 6; int32 nanos = 7;
    oneof time_offset { google.protobuf.Duration utc_offset = 8; TimeZone time_zone = 9; } }
    message TimeZone { string id = 1; string version = 2; }`,
  ],
  [
    'google/type/dayofweek.proto',
    `${TYPE}enum DayOfWeek { DAY_OF_WEEK_UNSPECIFIED = 0; MONDAY = 1; TUESDAY = 2; WEDNESDAY = 3; THURSDAY = 4; FRIDAY = 5; SATURDAY = 6; SUNDAY = 7; }`,
  ],
  ['google/type/decimal.proto', `${TYPE}message Decimal { string value = 1; }`],
  [
    'google/type/expr.proto',
    `${TYPE}message Expr { string expression = 1; string title = 2; string description = 3; string location = 4; }`,
  ],
  ['google/type/fraction.proto', `${TYPE}message Fraction { int64 numerator = 1; int64 denominator = 2; }`],
  [
    'google/type/interval.proto',
    `${TYPE}import "google/protobuf/timestamp.proto"; message Interval { google.protobuf.Timestamp start_time = 1; google.protobuf.Timestamp end_time = 2; }`,
  ],
  ['google/type/latlng.proto', `${TYPE}message LatLng { double latitude = 1; double longitude = 2; }`],
  ['google/type/localized_text.proto', `${TYPE}message LocalizedText { string text = 1; string language_code = 2; }`],
  ['google/type/money.proto', `${TYPE}message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }`],
  [
    'google/type/month.proto',
    `${TYPE}enum Month { MONTH_UNSPECIFIED = 0; JANUARY = 1; FEBRUARY = 2; MARCH = 3; APRIL = 4; MAY = 5; JUNE = 6; JULY = 7;
    AUGUST = 8; SEPTEMBER = 9; OCTOBER = 10; NOVEMBER = 11; DECEMBER = 12; }`,
  ],
  [
    'google/type/phone_number.proto',
    `${TYPE}message PhoneNumber { message ShortCode { string region_code = 1; string number = 2; }
    oneof kind { string e164_number = 1; ShortCode short_code = 2; } string extension = 3; }`,
  ],
  [
    'google/type/postal_address.proto',
    `${TYPE}message PostalAddress { int32 revision = 1; string region_code = 2; string language_code = 3; string postal_code = 4;
    string sorting_code = 5; string administrative_area = 6; string locality = 7; string sublocality = 8;
    repeated string address_lines = 9; repeated string recipients = 10; string organization = 11; }`,
  ],
  [
    'google/type/quaternion.proto',
    `${TYPE}message Quaternion { double x = 1; double y = 2; double z = 3; double w = 4; }`,
  ],
  [
    'google/type/timeofday.proto',
    `${TYPE}message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }`,
  ],
]);

let linked: ProtobufFile | undefined;
const checked = new WeakMap<ProtobufMessage, string | undefined>();

/**
 * The full name of a message that is one of the well-known ones: by its name, and by its fields, so that a message that
 * only has the name is taken for what it is.
 */
export function wellKnownName(message: ProtobufMessage): string | undefined {
  if (!/^(google|confluent)\./.test(message.fullName)) return undefined;
  if (!checked.has(message)) {
    linked ??= linkProtobuf(
      parseProtobufSource(''),
      [...WELL_KNOWN_FILES].map(([path, text]) => parseProtobufSource(text, path)),
    );
    const known = linked.types.get(message.fullName);
    checked.set(message, known && fieldsOf(known) === fieldsOf(message) ? message.fullName : undefined);
  }
  return checked.get(message);
}

const fieldsOf = ({ fields }: ProtobufMessage): string =>
  fields
    .map(({ name, number, type, cardinality }) =>
      [number, name, cardinality, type.kind === 'scalar' ? type.scalar : type.fullName].join(' '),
    )
    .join(', ');
