/**
 * What the readers that generated decoders call throw for a record that ends early or breaks a rule: the interpreter is
 * then asked why.
 */
export const BROKEN = Symbol('broken record');

export const broken = (): never => {
  throw BROKEN;
};
