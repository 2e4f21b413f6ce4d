// Kubernetes' protobuf request bodies: kubectl's imperative commands (`kubectl create namespace` ...) send nothing else.
// Only decoding, only the built-in kinds; answers are JSON, which these clients accept.
import type { JsonObject } from '../api/objects.js';
import { badRequest } from '../api/status.js';
import { BUILTIN, builtinSchema } from '../schema/builtin.js';
import { REF_PREFIX, resolveRef, type Schema } from '../schema/types.js';
import { WIRE } from '../schema/wire.js';
import { createWireReader, type WireReader } from './wire-reader.js';

export const PROTOBUF = 'application/vnd.kubernetes.protobuf';

const MAGIC = Buffer.from('k8s\0');
const MAX_DEPTH = 64;

/** The object in the envelope, as its JSON form. Throws 400 when it can not be read. */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC))
    throw unreadable('it does not begin with the mark of a Kubernetes object');
  let apiVersion = '';
  let kind = '';
  let raw: Buffer = Buffer.alloc(0);
  const envelope = createWireReader(body.subarray(MAGIC.length), unreadable);
  for (let tag = envelope.next(); tag !== undefined; tag = envelope.next()) {
    if (tag.field === 1) [apiVersion, kind] = readTypeMeta(envelope.bytes());
    else if (tag.field === 2) raw = envelope.bytes();
    else envelope.skip();
  }
  if (!Object.hasOwn(WIRE, kind) || !Object.hasOwn(BUILTIN, kind))
    throw unreadable(`no protobuf form of kind "${kind}" is known`);
  return { apiVersion, kind, ...decodeMessage(raw, kind, builtinSchema(kind), 0) };
}

function unreadable(why: string): Error {
  return badRequest(`the protobuf object provided cannot be read: ${why}; send JSON`);
}

function readTypeMeta(bytes: Buffer): [apiVersion: string, kind: string] {
  const texts = ['', '', ''];
  const reader = createWireReader(bytes, unreadable);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field < texts.length) texts[tag.field] = reader.bytes().toString('utf8');
    else reader.skip();
  }
  return [texts[1] ?? '', texts[2] ?? ''];
}

interface Field {
  readonly name: string;
  /** Its zero value means something: it was set on purpose. */
  readonly pointer: boolean;
  /** The fields of this message belong to the outer object. */
  readonly embedded: boolean;
}

function fieldsOf(message: string): ReadonlyMap<number, Field> {
  const fields = new Map<number, Field>();
  for (const part of (WIRE[message] ?? '').split(' ')) {
    const match = /^(&?)([^=]+)=(\d+)(\*?)$/.exec(part);
    if (match === null) continue;
    fields.set(Number(match[3]), { name: match[2] ?? '', embedded: match[1] === '&', pointer: match[4] === '*' });
  }
  return fields;
}

/** `message` names the wire layout, `ref` the JSON schema: they differ for embedded messages. */
function decodeMessage(bytes: Buffer, message: string, ref: Schema, depth: number): JsonObject {
  if (depth > MAX_DEPTH) throw unreadable(`nested deeper than ${MAX_DEPTH} levels`);
  const schema = resolveRef(ref, BUILTIN);
  const fields = fieldsOf(message);
  const result: JsonObject = {};
  const reader = createWireReader(bytes, unreadable);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    const field = fields.get(tag.field);
    const property = field === undefined ? undefined : schema.properties?.[field.name];
    if (field?.embedded) Object.assign(result, decodeMessage(reader.bytes(), field.name, ref, depth + 1));
    else if (field === undefined || property === undefined) reader.skip();
    else readField(result, field, property, reader, depth, (schema.required ?? []).includes(field.name));
  }
  return result;
}

function readField(
  result: JsonObject,
  field: Field,
  schema: Schema,
  reader: WireReader,
  depth: number,
  required: boolean,
): void {
  if (schema.type === 'array') {
    const list = Array.isArray(result[field.name]) ? (result[field.name] as unknown[]) : [];
    result[field.name] = [...list, readValue(schema.items ?? {}, reader, depth)];
  } else if (typeof schema.additionalProperties === 'object') {
    const [key, value] = readEntry(schema.additionalProperties, reader.bytes(), depth);
    result[field.name] = { ...(result[field.name] as JsonObject | undefined), [key]: value };
  } else {
    const value = readValue(schema, reader, depth);
    // Go writes the zero value of every field that is no pointer; JSON leaves it out.
    const zero = value === '' || value === 0 || value === false || value === undefined;
    if (!zero || field.pointer || required) result[field.name] = value;
  }
}

function readEntry(schema: Schema, bytes: Buffer, depth: number): [key: string, value: unknown] {
  const reader = createWireReader(bytes, unreadable);
  let key = '';
  let value: unknown = '';
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 1) key = reader.bytes().toString('utf8');
    else if (tag.field === 2) value = readValue(schema, reader, depth);
    else reader.skip();
  }
  return [key, value];
}

function readValue(schema: Schema, reader: WireReader, depth: number): unknown {
  if (schema.$ref !== undefined) {
    return decodeMessage(reader.bytes(), schema.$ref.slice(REF_PREFIX.length), schema, depth + 1);
  }
  if (schema['x-kubernetes-int-or-string']) return readIntOrString(reader.bytes());
  switch (schema.type) {
    case 'string':
      return readText(schema, reader.bytes());
    case 'boolean':
      return reader.varint() !== 0n;
    case 'integer':
      return Number(BigInt.asIntN(64, reader.varint()));
    default:
      throw unreadable('a field of a type that has no protobuf form here');
  }
}

function readText(schema: Schema, bytes: Buffer): string | undefined {
  switch (schema.format) {
    case 'byte':
      return bytes.toString('base64');
    case 'date-time':
    case 'micro-time':
      return readTime(bytes, schema.format);
    case 'quantity':
      return readFirstText(bytes);
    default:
      return bytes.toString('utf8');
  }
}

/** Seconds and nanoseconds; the zero time is no time. */
function readTime(bytes: Buffer, format: string): string | undefined {
  let seconds = 0n;
  let nanos = 0n;
  const reader = createWireReader(bytes, unreadable);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 1) seconds = BigInt.asIntN(64, reader.varint());
    else if (tag.field === 2) nanos = reader.varint();
    else reader.skip();
  }
  const ms = Number(seconds) * 1000;
  if (bytes.length === 0 || Math.abs(ms) > 8.64e15) return undefined;
  const text = new Date(ms).toISOString().slice(0, 19);
  const micros = String(nanos / 1000n).padStart(6, '0');
  return format === 'micro-time' ? `${text}.${micros}Z` : `${text}Z`;
}

function readFirstText(bytes: Buffer): string {
  const reader = createWireReader(bytes, unreadable);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 1) return reader.bytes().toString('utf8');
    reader.skip();
  }
  return '';
}

function readIntOrString(bytes: Buffer): number | string {
  let isText = false;
  let whole = 0;
  let text = '';
  const reader = createWireReader(bytes, unreadable);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 1) isText = reader.varint() === 1n;
    else if (tag.field === 2) whole = Number(BigInt.asIntN(64, reader.varint()));
    else if (tag.field === 3) text = reader.bytes().toString('utf8');
    else reader.skip();
  }
  return isText ? text : whole;
}
