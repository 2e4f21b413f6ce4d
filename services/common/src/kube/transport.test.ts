import { expect, test } from '@jest/globals';
import { KubeError } from './kube-error.js';
import { type HttpMethod, retryDelayMs } from './transport.js';

function delay(
  method: HttpMethod,
  httpStatus: number,
  over: { retryAfterMs?: number; failures?: number; retry?: boolean } = {},
) {
  const code = httpStatus === 504 ? 'deadline_exceeded' : httpStatus === 429 ? 'resource_exhausted' : 'unavailable';
  const error = new KubeError(httpStatus === 409 ? 'failed_precondition' : code, '', {
    httpStatus,
    ...(over.retryAfterMs !== undefined && { retryAfterMs: over.retryAfterMs }),
  });
  const request = { method, path: '/', verb: '', resource: '', ...(over.retry !== undefined && { retry: over.retry }) };
  return retryDelayMs(request, error, over.failures ?? 1, () => 0);
}

test('reads are tried again after what passes, writes only after a refusal', () => {
  expect([0, 500, 503, 504, 429].map((status) => delay('GET', status))).toEqual([200, 200, 200, 200, 200]);
  expect([0, 500, 503, 504].map((status) => delay('PUT', status))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(delay('POST', 429, { retryAfterMs: 1_000 })).toBe(1_200);
  expect(delay('GET', 409)).toBeUndefined();
});

test('attempts and patience are bounded', () => {
  expect(delay('GET', 503, { failures: 3 })).toBe(800);
  expect(delay('GET', 503, { failures: 4 })).toBeUndefined();
  expect(delay('GET', 429, { retryAfterMs: 60_000 })).toBeUndefined();
  expect(delay('GET', 503, { retry: false })).toBeUndefined();
});
