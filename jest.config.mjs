// Three kinds of tests, by what they touch:
//   unit  x.test.ts       no socket, no disk, no real time
//   int   x.int.test.ts   real sockets on port 0, temporary folders, real processes
//   e2e   e2e/*.test.ts   the whole product, as a user starts it
const shared = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2023' }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  // node_modules is not transformed; the workspaces are reached through their real paths.
  transformIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/', '/.setup/'],
};

const projects = [
  {
    ...shared,
    displayName: 'unit',
    testMatch: ['<rootDir>/{services/*,cli,gen,bench}/{src,test}/**/*.test.ts'],
    testPathIgnorePatterns: ['/node_modules/', '/dist/', '\\.int\\.test\\.ts$'],
  },
  { ...shared, displayName: 'int', testMatch: ['<rootDir>/{services/*,cli,bench}/{src,test}/**/*.int.test.ts'] },
  { ...shared, displayName: 'e2e', testMatch: ['<rootDir>/e2e/**/*.test.ts'] },
];

export default { projects };
