/** What this software calls itself to the hub and in the Node object; equal to the version in package.json. */
export const SOFTWARE_VERSION = '0.1.0';
