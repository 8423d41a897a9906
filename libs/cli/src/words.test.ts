import { expect, it } from 'vitest';
import { parseRecordFormat } from './words.ts';

it('reads how keys or values are encoded', () => {
  expect(parseRecordFormat('json')).toEqual({ encoding: 'json' });
  expect(parseRecordFormat('protobuf,schema=17,message=city.Ride,nanos=truncate,framing=none')).toEqual({
    encoding: 'protobuf',
    fixedSchemaId: 17,
    message: 'city.Ride',
    nanos: 'truncate',
    framing: 'none',
  });
  for (const wrong of ['avro,schema=x', 'avro,schema', 'protobuf,toString=1', 'json,message='])
    expect(() => parseRecordFormat(wrong)).toThrow(/is not one of framing=…, schema=…/);
});
