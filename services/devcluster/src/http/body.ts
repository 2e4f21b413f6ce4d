// Request bodies: bounded, JSON or YAML, decoded once.
import type { IncomingMessage } from 'node:http';
import { messageOf } from '@skerry/common/errors';
import { parseDocument } from 'yaml';
import { isObject } from '../api/objects.js';
import { ApiError, badRequest, unsupportedMediaType } from '../api/status.js';
import type { Body } from '../operations/decode.js';
import { findDuplicates } from './json-duplicates.js';
import { decodeProtobuf, PROTOBUF } from './protobuf.js';

/** What upstream takes at most. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;
/** Deeper documents are refused before anything recurses into them. */
const MAX_DEPTH = 200;

export function contentTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Throws 413 for a body that is too large. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > MAX_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(): ApiError {
  return new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BODY_BYTES}`);
}

const ACCEPTED = ['application/json', 'application/yaml', PROTOBUF];

/** A document of any shape, in JSON, YAML or (built-in kinds only) protobuf. Throws 400 and 415. */
export function parseBody(bytes: Buffer, contentType: string): { value: unknown; duplicates: readonly string[] } {
  if (contentType === PROTOBUF) return { value: decodeProtobuf(bytes), duplicates: [] };
  const text = bytes.toString('utf8');
  if (contentType === '' || contentType === 'application/json') return parseJson(text);
  if (contentType === 'application/yaml' || contentType === 'text/yaml') return parseYaml(text);
  throw unsupportedMediaType(ACCEPTED);
}

export function parseJson(text: string): { value: unknown; duplicates: readonly string[] } {
  checkDepth(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badRequest(`the object provided is unrecognized (must be of type JSON): ${messageOf(error)}`);
  }
  return { value, duplicates: findDuplicates(text) };
}

export function parseYaml(text: string): { value: unknown; duplicates: readonly string[] } {
  const document = parseDocument(text, { uniqueKeys: true, schema: 'core', maxAliasCount: 100 } as object);
  const duplicates: string[] = [];
  for (const error of document.errors) {
    if (error.code !== 'DUPLICATE_KEY') throw badRequest(`error converting YAML to JSON: ${error.message}`);
    duplicates.push(`line ${error.linePos?.[0].line ?? 0}`);
  }
  try {
    const json = JSON.stringify(document.toJS({ maxAliasCount: 100 })) ?? 'null';
    checkDepth(json);
    return { value: JSON.parse(json), duplicates };
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: ${messageOf(error)}`);
  }
}

/** The body of a create or update: an object. Throws 400, 415. */
export function objectBody(bytes: Buffer, contentType: string): Body {
  const { value, duplicates } = parseBody(bytes, contentType);
  if (!isObject(value)) throw badRequest('the body must be a JSON object');
  return { value, duplicates };
}

function checkDepth(json: string): void {
  let depth = 0;
  let inText = false;
  for (let index = 0; index < json.length; index++) {
    const code = json.charCodeAt(index);
    if (inText) {
      if (code === 92) index += 1;
      else if (code === 34) inText = false;
    } else if (code === 34) inText = true;
    else if (code === 123 || code === 91) {
      depth += 1;
      if (depth > MAX_DEPTH) throw badRequest(`the document is nested deeper than ${MAX_DEPTH} levels`);
    } else if (code === 125 || code === 93) depth -= 1;
  }
}
