// The constant program that stands beside each process container: it starts the command and writes down how it ended, whether or not an
// engine is there. It is a file of its own text, so that it runs from sources, from a build and from a bundle alike.
// Invariants: data reaches it as JSON on standard input and never as code; of two for one directory only the first goes on (link(2) on
// claim.json fails for the second); exit.json is written only when nothing of the container runs any more.
// Cost: an idle Node.js process, about 6 MB of memory of its own.

/** The variable that marks every process of a container; it names the container's id. */
export const MARK = 'SKERRY_CONTAINER';

export const FILES = {
  claim: 'claim.json',
  started: 'started.json',
  exit: 'exit.json',
  log: 'output.log',
  oldLog: 'output.log.1',
} as const;

/** What the wrapper reads. `env` holds the mark. */
export interface WrapperSpec {
  readonly id: string;
  readonly bootId: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  /** When the log is longer it becomes the old log, whose predecessor goes: at most twice this is kept. */
  readonly maxLogBytes: number;
}

export const WRAPPER_SOURCE = `'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');

const dir = process.argv[2];
const at = (name) => path.join(dir, name);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE']) process.on(signal, () => {});

function readSpec() {
  try {
    return JSON.parse(fs.readFileSync(0, 'utf8'));
  } catch {
    // The engine went away while it told us: nothing has happened yet.
    process.exit(1);
  }
}

function write(name, value) {
  const temporary = at(name + '.' + process.pid);
  const file = fs.openSync(temporary, 'w', 0o600);
  fs.writeSync(file, JSON.stringify(value));
  fs.fsyncSync(file);
  fs.closeSync(file);
  return temporary;
}

function publish(name, value) {
  fs.renameSync(write(name, value), at(name));
}

function identify(pid) {
  const stat = fs.readFileSync('/proc/' + pid + '/stat', 'latin1');
  return { pid, startTicks: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] };
}

function claim(spec) {
  try {
    const temporary = write('${FILES.claim}', { bootId: spec.bootId, ...identify(process.pid) });
    try {
      fs.linkSync(temporary, at('${FILES.claim}'));
    } finally {
      fs.unlinkSync(temporary);
    }
  } catch {
    // Another one has it, or the container was removed.
    process.exit(0);
  }
}

/** Kills what the command left behind, also what moved to a session of its own. */
function sweep(id) {
  const mark = '\\0${MARK}=' + id + '\\0';
  for (let round = 0; round < 10; round++) {
    let found = 0;
    for (const pid of fs.readdirSync('/proc')) {
      if (!/^\\d+$/.test(pid)) continue;
      try {
        if (!('\\0' + fs.readFileSync('/proc/' + pid + '/environ', 'latin1')).includes(mark)) continue;
        process.kill(Number(pid), 'SIGKILL');
        found++;
      } catch {}
    }
    if (found === 0) return;
  }
}

function tell() {
  // The engine waits for this end; it may be gone.
  try {
    fs.closeSync(1);
  } catch {}
}

function rotate(max) {
  try {
    if (fs.statSync(at('${FILES.log}')).size <= max) return;
    fs.copyFileSync(at('${FILES.log}'), at('${FILES.oldLog}'));
    fs.truncateSync(at('${FILES.log}'));
  } catch {}
}

const spec = readSpec();
claim(spec);
const startedAtMs = Date.now();
const log = fs.openSync(at('${FILES.log}'), 'a', 0o640);
let ended = false;

function end(exit) {
  if (ended) return;
  ended = true;
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {}
  sweep(spec.id);
  publish('${FILES.exit}', { startedAtMs, finishedAtMs: Date.now(), ...exit });
  process.exit(0);
}

const child = spawn(spec.argv[0], spec.argv.slice(1), {
  cwd: spec.cwd,
  env: spec.env,
  uid: spec.uid,
  gid: spec.gid,
  detached: true,
  stdio: ['ignore', log, log],
});
child.on('error', (error) => {
  if (child.pid !== undefined) return;
  const where = fs.existsSync(spec.cwd) ? '' : ' (working directory ' + spec.cwd + ' does not exist)';
  end({ exitCode: 128, reason: 'StartError', message: 'cannot start ' + spec.argv[0] + ': ' + error.message + where });
});
child.on('exit', (code, signal) => {
  const number = signal ? require('node:os').constants.signals[signal] : 0;
  end(signal ? { exitCode: 128 + number, signal } : { exitCode: code });
});
if (child.pid !== undefined) {
  try {
    publish('${FILES.started}', { ...identify(child.pid), startedAtMs });
  } catch {
    // Nobody could find it again.
    process.kill(-child.pid, 'SIGKILL');
  }
  setInterval(() => rotate(spec.maxLogBytes), 1000);
  tell();
}
`;
