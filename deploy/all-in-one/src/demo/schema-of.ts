import avro from 'avsc';
import type { DemoSchema } from './demo-topic.ts';

/** A demo schema from its Avro definition. Logical types are left raw: the generator hands over their base values. */
export function schemaOf(subject: string, version: number, id: number, definition: avro.Schema): DemoSchema {
  return { subject, version, id, type: avro.Type.forSchema(definition), text: JSON.stringify(definition, null, 2) };
}
