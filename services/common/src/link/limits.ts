// The link's bounds in one place. Those that both ends must agree on are part of the contract (link.proto says so).

/** The protocol that this version speaks, and the oldest that it still understands. */
export const PROTOCOL_VERSION = 1;
export const MIN_PROTOCOL_VERSION = 1;
/** How payloads are encoded unless an entry says otherwise. */
export const ENCODING_JSON = 'json';

/** Longest payload of one Put, log entry or call message. Kubernetes objects end at 1.5 MiB. */
export const MAX_PAYLOAD_BYTES = 2 * 1024 * 1024;
/** Longest encoding of one body: a payload plus its keys, references and texts. */
export const MAX_BODY_BYTES = MAX_PAYLOAD_BYTES + 256 * 1024;
/** A body whose encoding is longer travels as chunks. */
export const CHUNK_BYTES = 32 * 1024;
/** Longest message of the gRPC stream: a chunk and its envelope. */
export const MAX_MESSAGE_BYTES = 64 * 1024;

export const MAX_KEY_LENGTH = 1024;
export const MAX_VERSION_LENGTH = 256;
/** Codes and reasons of a Done, messages of a CallEnd: longer ones are cut by whoever sends. */
export const MAX_TEXT_LENGTH = 2048;
export const MAX_REFERENCES = 2000;

/** Keys of one Inventory page. */
export const INVENTORY_PAGE = 500;
/** Kinds of one Digest or InventoryRequest. */
export const MAX_KINDS = 32;

/** What a receiver lets its sender have under way on one lane of one node. */
export const INITIAL_CREDIT = 256 * 1024;
/** The smallest grant, so that grants cannot become a flood. */
export const MIN_GRANT = 4 * 1024;
/** The most that may be granted and not used, over which a peer that grants is cut off. */
export const MAX_CREDIT = 4 * 1024 * 1024;

/** The in-flight window of a hop: about one second of the measured ack rate, between these. */
export const MIN_WINDOW_BYTES = 32 * 1024;
export const MAX_WINDOW_BYTES = 4 * 1024 * 1024;
/** What one channel may hold queued and in flight before it ends. */
export const MAX_QUEUED_BYTES = 64 * 1024 * 1024;
/** The part of that from which on a channel is congested: no new body is begun on it. The rest is for answers and bodies under way. */
export const CONGESTED_SHARE = 1 / 4;

/** How often an idle dialler says that it is there, unless Welcome says otherwise. */
export const HEARTBEAT_INTERVAL_MS = 10_000;
/** A channel on which nothing arrived for so many heartbeat intervals is lost. */
export const LOST_AFTER_INTERVALS = 2.5;
