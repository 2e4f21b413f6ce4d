// The `skerry` command. The only file of the command line that touches signals and the exit code.
import { messageOf } from '@skerry/common/errors';
import { commands, usage } from './commands.js';

const [name = 'help', ...argv] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
const stop = new AbortController();
let asked = 0;
const onSignal = (): void => {
  asked += 1;
  // Who asks twice does not want to wait.
  if (asked > 1) process.exit(130);
  stop.abort(new Error('interrupted'));
};
process.on('SIGINT', onSignal);
process.on('SIGTERM', onSignal);
// A terminal that was closed, perhaps after Ctrl-C: there is still a workload to take down, if nobody to tell of it.
process.on('SIGHUP', () => stop.abort(new Error('the terminal was closed')));
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

if (command === undefined) {
  process.stderr.write(`${usage()}\n`);
  process.exitCode = ['help', '--help', '-h'].includes(name) ? 0 : 2;
} else {
  try {
    process.exitCode = await command.run(argv, stop.signal);
  } catch (error) {
    process.stderr.write(`skerry ${name}: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
