// Times as the API writes them.

/** RFC 3339 with whole seconds, as metadata and conditions have it. `ms`: Unix milliseconds. */
export function rfc3339(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
