import type { OptionValue, ProtobufOptions, ProtobufSource, SourceEnum, SourceMessage } from './protobuf-source.ts';
import { invalidProtobuf, type ProtobufToken, tokenizeProtobuf } from './protobuf-tokens.ts';

const MAX_DEPTH = 100;
const MAX_NUMBER = 536_870_911;

/**
 * Parses a .proto file (Protocol Buffers language specifications: proto2, proto3, editions 2023 and 2024). Services and
 * extensions are passed over. Throws `invalid` (code "protobuf-schema") with the line.
 *
 *   file    := ("syntax" | "edition") "=" string ";" | import | package | option | message | enum | extend | service | ";"
 *   message := "message" name "{" (field | map | group | oneof | message | enum | extend | extensions | reserved | option | ";")* "}"
 *   field   := ("optional" | "required" | "repeated")? type name "=" number options? ";"
 *   map     := "map" "<" type "," type ">" name "=" number options? ";"
 *   group   := label "group" name "=" number options? "{" … "}"
 *   option  := "option" name "=" (constant | "{" text format "}") ";"
 */
export function parseProtobufSource(text: string, name = ''): ProtobufSource {
  const parser = createParser(tokenizeProtobuf(text, name), name);
  return parser.file();
}

function createParser(tokens: ProtobufToken[], file: string) {
  let at = 0;
  const peek = (): ProtobufToken => tokens[at]!;
  const fail = (what: string, token = peek()) => invalidProtobuf(file, token.line, what);
  const next = (): ProtobufToken => (at < tokens.length - 1 ? tokens[at++]! : tokens[at]!);
  const is = (text: string): boolean => peek().text === text && peek().kind !== 'string' && peek().kind !== 'end';
  const accept = (text: string): boolean => is(text) && next() !== undefined;
  const expect = (text: string): ProtobufToken => {
    if (!is(text)) throw fail(`"${text}" is missing before ${JSON.stringify(peek().text)}`);
    return next();
  };
  const word = (what: string): string => {
    if (peek().kind !== 'word') throw fail(`${what} is missing before ${JSON.stringify(peek().text)}`);
    return next().text;
  };
  const string = (what: string): string => {
    if (peek().kind !== 'string') throw fail(`${what} is missing before ${JSON.stringify(peek().text)}`);
    let text = next().text;
    while (peek().kind === 'string') text += next().text;
    return text;
  };
  const dotted = (what: string): string => {
    let text = accept('.') ? '.' : '';
    do text += word(what);
    while (accept('.') && (text += '.'));
    return text;
  };
  const integer = (what: string): number => {
    const negative = accept('-');
    const token = next();
    const text = /^0[0-7]+$/.test(token.text) ? `0o${token.text}` : token.text;
    const value = token.kind === 'number' ? Number(text) : Number.NaN;
    if (!Number.isInteger(value)) throw fail(`${what} is missing before ${JSON.stringify(token.text)}`, token);
    return negative ? -value : value;
  };

  // "{ … }" with everything in it.
  function skipBlock(): void {
    expect('{');
    for (let depth = 1; depth > 0; ) {
      if (peek().kind === 'end') throw fail('"}" is missing at the end');
      if (is('{')) depth++;
      else if (is('}')) depth--;
      next();
    }
  }

  function skipStatement(): void {
    while (!is(';')) {
      if (peek().kind === 'end') throw fail('";" is missing at the end');
      next();
    }
    next();
  }

  function optionName(): string {
    let name = '';
    do {
      if (accept('(')) {
        name += `(${dotted('the name of an option')})`;
        expect(')');
      } else name += word('the name of an option');
    } while (accept('.') && (name += '.'));
    return name;
  }

  function constant(depth: number): OptionValue {
    if (depth > MAX_DEPTH) throw fail(`options are nested deeper than ${MAX_DEPTH} levels`);
    if (is('{') || is('<')) return aggregate(depth);
    if (peek().kind === 'string') return string('a value');
    const sign = accept('-') ? '-' : accept('+') ? '' : '';
    if (peek().kind === 'number') return sign + next().text;
    return sign + dotted('a value');
  }

  function aggregate(depth: number): { [name: string]: OptionValue } {
    const end = next().text === '<' ? '>' : '}';
    const values = Object.create(null) as { [name: string]: OptionValue };
    while (!accept(end)) {
      const name = accept('[') ? bracketed() : word('the name of an option');
      const colon = accept(':');
      if (!colon && !is('{') && !is('<') && !is('[')) throw fail('":" is missing');
      const value = is('[') ? list(depth) : constant(depth + 1);
      const before = values[name];
      values[name] = before === undefined ? value : [before, value].flat();
      if (!accept(',')) accept(';');
    }
    return values;
  }

  function bracketed(): string {
    let name = '';
    while (!accept(']')) name += next().kind === 'end' ? fail('"]" is missing') : tokens[at - 1]!.text;
    return `[${name}]`;
  }

  function list(depth: number): OptionValue[] {
    expect('[');
    const values: OptionValue[] = [];
    while (!accept(']')) {
      values.push(constant(depth + 1));
      if (!is(']')) expect(',');
    }
    return values;
  }

  function option(into: ProtobufOptions): void {
    const name = optionName();
    expect('=');
    into.set(name, constant(0));
  }

  function inlineOptions(into: ProtobufOptions): void {
    if (!accept('[')) return;
    while (!accept(']')) {
      option(into);
      if (!is(']')) expect(',');
    }
  }

  function field(message: SourceMessage, oneof: string | undefined, depth: number): void {
    const first = peek();
    const label = (['optional', 'required', 'repeated'] as const).find((text) => accept(text)) ?? 'none';
    const isMap = is('map') && tokens[at + 1]?.text === '<';
    let key: string | undefined;
    if (isMap) {
      at += 2;
      key = dotted("the type of the map's key");
      expect(',');
    }
    const type = dotted('the type of a field');
    if (isMap) expect('>');
    const isGroup = type === 'group' && !isMap;
    const name = word('the name of a field');
    expect('=');
    const number = integer('the number of a field');
    if (number < 1 || number > MAX_NUMBER)
      throw fail(`the field ${name} has the number ${number}: 1 to ${MAX_NUMBER} are legal`, first);
    const options: ProtobufOptions = new Map();
    inlineOptions(options);
    const last = tokens[at - 1]!;
    if (isGroup) message.messages.push(body(name, true, depth + 1));
    else expect(';');
    const doc = first.before ?? (isGroup ? undefined : (tokens[at - 1]!.after ?? last.after));
    message.fields.push({
      // A group's field has the name of its message in lower case.
      name: isGroup ? name.toLowerCase() : name,
      number,
      type: isGroup ? name : type,
      label,
      ...(key === undefined ? {} : { key }),
      ...(oneof === undefined ? {} : { oneof }),
      group: isGroup,
      options,
      ...(doc ? { doc } : {}),
      line: first.line,
    });
  }

  function oneof(message: SourceMessage, depth: number): void {
    const name = word('the name of a oneof');
    const options: ProtobufOptions = new Map();
    message.oneofs.set(name, options);
    expect('{');
    while (!accept('}')) {
      if (accept(';')) continue;
      if (is('option') && tokens[at + 1]?.text !== '=') statementOption(options);
      else field(message, name, depth);
    }
  }

  function statementOption(into: ProtobufOptions): void {
    next();
    option(into);
    expect(';');
  }

  function body(name: string, group: boolean, depth: number): SourceMessage {
    if (depth > MAX_DEPTH) throw fail(`messages are nested deeper than ${MAX_DEPTH} levels`);
    const message: SourceMessage = {
      name,
      fields: [],
      messages: [],
      enums: [],
      oneofs: new Map(),
      options: new Map(),
      group,
    };
    expect('{');
    while (!accept('}')) statement(message, depth);
    return message;
  }

  function statement(message: SourceMessage, depth: number): void {
    if (accept(';')) return;
    // A keyword with no name after it is a type: "message foo = 1;" does not exist, ".message foo = 1;" does.
    if (declaration(message, depth)) return;
    if (is('option')) statementOption(message.options);
    else if (is('reserved') || is('extensions')) skipStatement();
    else if (is('extend')) {
      next();
      dotted('the name of a message');
      skipBlock();
    } else if (is('oneof')) {
      next();
      oneof(message, depth);
    } else field(message, undefined, depth);
  }

  function declaration(into: { messages: SourceMessage[]; enums: SourceEnum[] }, depth: number): boolean {
    if ((is('export') || is('local')) && ['message', 'enum'].includes(tokens[at + 1]?.text ?? '')) next();
    if (accept('message')) {
      const name = word('the name of a message');
      into.messages.push(body(name, false, depth + 1));
    } else if (accept('enum')) into.enums.push(enumeration());
    else return false;
    return true;
  }

  function enumeration(): SourceEnum {
    const name = word('the name of an enum');
    const values: SourceEnum['values'] = [];
    const ignored: ProtobufOptions = new Map();
    expect('{');
    while (!accept('}')) {
      if (accept(';')) continue;
      if (is('option') && tokens[at + 1]?.text !== '=') statementOption(ignored);
      else if (is('reserved') && tokens[at + 1]?.text !== '=') skipStatement();
      else {
        const value = word('the name of a value');
        expect('=');
        values.push({ name: value, number: integer('the number of a value') });
        inlineOptions(ignored);
        expect(';');
      }
    }
    return { name, values };
  }

  function edition(source: ProtobufSource): void {
    const keyword = next();
    expect('=');
    source.edition = string('the edition');
    const legal = keyword.text === 'syntax' ? ['proto2', 'proto3'] : ['2023', '2024'];
    if (!legal.includes(source.edition))
      throw fail(`${keyword.text} "${source.edition}" is not known: ${legal.join(' and ')} are`, keyword);
    expect(';');
  }

  return {
    file(): ProtobufSource {
      const source: ProtobufSource = {
        name: file,
        edition: 'proto2',
        package: '',
        imports: [],
        options: new Map(),
        messages: [],
        enums: [],
      };
      while (peek().kind !== 'end') {
        if (accept(';') || declaration(source, 0)) continue;
        if (is('syntax') || is('edition')) edition(source);
        else if (is('option')) statementOption(source.options);
        else if (accept('package')) {
          source.package = dotted('the name of the package');
          expect(';');
        } else if (accept('import')) {
          // What is imported for options only has no types to give.
          const forOptions = accept('option');
          if (!forOptions && !accept('public')) accept('weak');
          const path = string('the name of a file');
          if (!forOptions) source.imports.push(path);
          expect(';');
        } else if (is('extend') || is('service')) {
          next();
          dotted('a name');
          skipBlock();
        } else throw fail(`${JSON.stringify(peek().text)} begins no statement`);
      }
      return source;
    },
  };
}
