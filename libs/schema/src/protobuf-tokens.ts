import { MillraceError } from '@millrace/base';

/** One token of a .proto source. `string`: unescaped, adjacent literals not yet joined. */
export interface ProtobufToken {
  kind: 'word' | 'number' | 'string' | 'symbol' | 'end';
  text: string;
  line: number;
  /** The comment on the lines directly before it. */
  before?: string;
  /** The comment after it on its own line. */
  after?: string;
}

// One alternative a kind; blank space and comments first.
const TOKEN =
  /([\t\n\v\f\r ]+)|(\/\/[^\n]*|\/\*[\s\S]*?\*\/)|([A-Za-z_]\w*)|((?:0[xX][\da-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[fF]?)|("(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')|([-+{}[\]()<>=;:,./])/y;

/** Splits a .proto source into tokens, an `end` token last. Throws `invalid` (code "protobuf-schema") with the line. */
export function tokenizeProtobuf(source: string, file: string): ProtobufToken[] {
  const tokens: ProtobufToken[] = [];
  let line = 1;
  let comment: { text: string; lastLine: number } | undefined;
  TOKEN.lastIndex = 0;
  for (let at = source.startsWith('\ufeff') ? 1 : 0; at < source.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (!match) throw invalidProtobuf(file, line, `${JSON.stringify(source.slice(at, at + 10))} is not Protobuf`);
    const [text, space, remark, word, number, string] = match;
    if (remark !== undefined) {
      const last = tokens.at(-1);
      const said = commentText(remark);
      if (last?.line === line && last.after === undefined) last.after = said;
      else if (comment && comment.lastLine >= line - 1) comment = { text: `${comment.text}\n${said}`, lastLine: line };
      else comment = { text: said, lastLine: line };
      line += linesIn(remark);
      if (comment && last?.line !== line) comment.lastLine = line;
      continue;
    }
    if (space === undefined) {
      const kind =
        word !== undefined ? 'word' : number !== undefined ? 'number' : string !== undefined ? 'string' : 'symbol';
      const token: ProtobufToken = { kind, text: kind === 'string' ? unescaped(text, file, line) : text, line };
      if (comment && comment.lastLine >= line - 1) token.before = comment.text;
      comment = undefined;
      tokens.push(token);
    }
    line += linesIn(text);
  }
  tokens.push({ kind: 'end', text: 'the end of the file', line });
  return tokens;
}

const linesIn = (text: string): number => text.split('\n').length - 1;

const commentText = (comment: string): string =>
  comment.startsWith('//')
    ? comment.replace(/^\/+ ?/, '').trimEnd()
    : comment
        .slice(2, -2)
        .split('\n')
        .map((line) => line.replace(/^\s*\*+ ?/, '').trimEnd())
        .join('\n')
        .replace(/^\*/, '')
        .trim();

const ESCAPES: Record<string, number> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  "'": 39,
  '"': 34,
  '?': 63,
};

// Escapes name bytes; the text is what the bytes are in UTF-8.
function unescaped(literal: string, file: string, line: number): string {
  const body = literal.slice(1, -1);
  if (!body.includes('\\')) return body;
  const parts: Buffer[] = [];
  for (const [whole, plain, numeric, code, simple] of body.matchAll(
    /([^\\]+)|\\(x[\da-fA-F]{1,2}|[0-7]{1,3})|\\(u[\da-fA-F]{4}|U[\da-fA-F]{8})|\\([\s\S])/g,
  )) {
    if (plain !== undefined) parts.push(Buffer.from(plain));
    else if (numeric !== undefined)
      parts.push(
        Buffer.of(numeric.startsWith('x') ? Number.parseInt(numeric.slice(1), 16) : Number.parseInt(numeric, 8)),
      );
    else if (code !== undefined && Number.parseInt(code.slice(1), 16) <= 0x10ffff)
      parts.push(Buffer.from(String.fromCodePoint(Number.parseInt(code.slice(1), 16))));
    else if (simple !== undefined && simple in ESCAPES) parts.push(Buffer.of(ESCAPES[simple]!));
    else throw invalidProtobuf(file, line, `${whole} is no escape`);
  }
  return Buffer.concat(parts).toString();
}

export const invalidProtobuf = (file: string, line: number, what: string): MillraceError =>
  new MillraceError('invalid', `The Protobuf schema${file ? ` ${file}` : ''} is wrong in line ${line}: ${what}`, {
    code: 'protobuf-schema',
    context: { line, ...(file ? { file } : {}) },
  });
