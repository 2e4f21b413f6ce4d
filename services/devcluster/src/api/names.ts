// Which names and labels are valid, in Kubernetes' words.

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const SERVICE = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const CONFIG_KEY = /^[-._a-zA-Z0-9]+$/;

/** Each returns what is wrong, or undefined. */
export type NameCheck = (name: string) => string | undefined;

export const dnsLabel: NameCheck = (name) => {
  if (name.length > 63) return 'must be no more than 63 characters';
  if (LABEL.test(name)) return undefined;
  return `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`;
};

export const dnsSubdomain: NameCheck = (name) => {
  if (name.length > 253) return 'must be no more than 253 characters';
  if (SUBDOMAIN.test(name)) return undefined;
  return `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`;
};

export const serviceName: NameCheck = (name) => {
  if (name.length > 63) return 'must be no more than 63 characters';
  if (SERVICE.test(name)) return undefined;
  return `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')`;
};

export const pathSegment: NameCheck = (name) => {
  if (name === '.' || name === '..') return `may not be '${name}'`;
  if (name.includes('/') || name.includes('%')) return `may not contain '/' or '%'`;
  return undefined;
};

export const qualifiedName: NameCheck = (name) => {
  const parts = name.split('/');
  if (parts.length > 2)
    return `a qualified name must consist of alphanumeric characters, '-', '_' or '.', with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`;
  const [last = '', prefix] = parts.reverse();
  if (prefix !== undefined) {
    if (prefix === '') return 'prefix part must be non-empty';
    const wrong = dnsSubdomain(prefix);
    if (wrong !== undefined) return `prefix part ${wrong}`;
  }
  if (last === '') return 'name part must be non-empty';
  if (last.length > 63) return 'name part must be no more than 63 characters';
  if (QUALIFIED.test(last)) return undefined;
  return `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`;
};

export const labelValue: NameCheck = (value) => {
  if (value.length > 63) return 'must be no more than 63 characters';
  if (VALUE.test(value)) return undefined;
  return `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`;
};

export const configKey: NameCheck = (key) => {
  if (key.length > 253) return 'must be no more than 253 characters';
  if (key === '.' || key === '..' || key.startsWith('..')) return `must not be '.' or '..' or start with '..'`;
  if (CONFIG_KEY.test(key)) return undefined;
  return `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`;
};
