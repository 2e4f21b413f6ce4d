// Kubernetes quantities ("250m", "64Mi", "1e3"), exact enough to compare resources: as thousandths in bigint.

const QUANTITY = /^([+-]?)(\d+|\d+\.\d*|\.\d+)(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d{1,3})$/;

const BINARY: Readonly<Record<string, bigint>> = {
  Ki: 2n ** 10n,
  Mi: 2n ** 20n,
  Gi: 2n ** 30n,
  Ti: 2n ** 40n,
  Pi: 2n ** 50n,
  Ei: 2n ** 60n,
};
const DECIMAL: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };

export function isQuantity(text: string): boolean {
  return QUANTITY.test(text);
}

/** The value in thousandths, rounded up (away from zero) as Kubernetes rounds; undefined when `text` is no quantity. */
export function parseMilli(text: string): bigint | undefined {
  const match = QUANTITY.exec(text);
  if (match === null) return undefined;
  const [, sign, digits = '', suffix = ''] = match;
  const [whole = '', fraction = ''] = digits.split('.');
  const exponent = /^[eE][+-]?\d/.test(suffix) ? Number(suffix.slice(1)) : (DECIMAL[suffix] ?? 0);
  const factor = BINARY[suffix] ?? 1n;
  const unscaled = BigInt(`${whole}${fraction}` || '0') * factor;
  const power = exponent + 3 - fraction.length;
  const milli = power >= 0 ? unscaled * 10n ** BigInt(power) : divideUp(unscaled, 10n ** BigInt(-power));
  return sign === '-' ? -milli : milli;
}

function divideUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by;
}
