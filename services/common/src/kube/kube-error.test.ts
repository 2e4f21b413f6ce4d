import { describe, expect, test } from '@jest/globals';
import { errorFromResponse, isAlreadyExists, isConflict, isGone, isKubeError, isNotFound } from './kube-error.js';

function statusBody(reason: string, extra: object = {}): string {
  return JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    reason,
    message: `because ${reason}`,
    ...extra,
  });
}

describe('KubeError', () => {
  test.each([
    [400, 'BadRequest', 'invalid_argument'],
    [401, 'Unauthorized', 'unauthenticated'],
    [403, 'Forbidden', 'permission_denied'],
    [404, 'NotFound', 'not_found'],
    [409, 'AlreadyExists', 'already_exists'],
    [409, 'Conflict', 'failed_precondition'],
    [410, 'Expired', 'failed_precondition'],
    [415, 'UnsupportedMediaType', 'unsupported'],
    [422, 'Invalid', 'invalid_argument'],
    [429, 'TooManyRequests', 'resource_exhausted'],
    [500, 'InternalError', 'unavailable'],
    [503, 'ServiceUnavailable', 'unavailable'],
    [504, 'Timeout', 'deadline_exceeded'],
  ])('%i %s is %s', (status, reason, code) => {
    const error = errorFromResponse('GET /api/v1/pods', status, statusBody(reason), undefined);
    expect(error).toMatchObject({ code, httpStatus: status, reason });
    expect(error.message).toBe(`GET /api/v1/pods: ${status} ${reason}: because ${reason}`);
    expect(isKubeError(error)).toBe(true);
  });

  test('the predicates tell a lost race from a name that is taken', () => {
    const exists = errorFromResponse('', 409, statusBody('AlreadyExists'), undefined);
    const conflict = errorFromResponse('', 409, statusBody('Conflict'), undefined);
    expect([isAlreadyExists(exists), isConflict(exists)]).toEqual([true, false]);
    expect([isAlreadyExists(conflict), isConflict(conflict)]).toEqual([false, true]);
    expect(isGone(errorFromResponse('', 410, '', undefined))).toBe(true);
    expect(isNotFound(errorFromResponse('', 404, '404 page not found', undefined))).toBe(true);
    expect(isNotFound(new Error('404'))).toBe(false);
  });

  test('patience is asked for by header, else by the status', () => {
    const body = statusBody('TooManyRequests', { details: { retryAfterSeconds: 5 } });
    expect(errorFromResponse('', 429, body, '2').retryAfterMs).toBe(2_000);
    expect(errorFromResponse('', 429, body, undefined).retryAfterMs).toBe(5_000);
    expect(errorFromResponse('', 429, 'slow down', 'Wed, 21 Oct 2026 07:28:00 GMT').retryAfterMs).toBeUndefined();
  });

  test('a body that is no Status is shown, bounded', () => {
    expect(errorFromResponse('GET /', 502, '<html>'.repeat(1_000), undefined).message.length).toBeLessThan(300);
  });
});
