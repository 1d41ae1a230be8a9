/** Commands of other programs, and of habit: what to write here. */
import { existsSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { plainWords } from '../../config/values/meant.ts';

const COMMANDS: { readonly [word: string]: string } = {
  start: '"runnel serve" runs the gateway in the foreground, "sudo systemctl start runnel" the service',
  restart:
    '"sudo systemctl restart runnel" restarts the service; "runnel reload" applies a changed configuration without a restart',
  enable: '"sudo systemctl enable --now runnel" starts the service, now and after each boot',
  disable: '"sudo systemctl disable --now runnel" stops the service for good',
  test: '"runnel check" checks the configuration',
  configtest: '"runnel check" checks the configuration',
  validate: '"runnel check" checks the configuration',
  lint: '"runnel check" checks the configuration',
  adapt: '"runnel check" checks the configuration',
  daemon: '"runnel serve" runs the gateway; "sudo systemctl start runnel" runs it in the background',
  server: '"runnel serve" runs the gateway',
  up: '"runnel serve" runs the gateway',
  quit: '"runnel stop" stops the gateway',
  kill: '"runnel stop" stops the gateway',
  down: '"runnel stop" stops the gateway',
  log: '"journalctl -u runnel -f" shows the log of the service',
  logs: '"journalctl -u runnel -f" shows the log of the service',
  ps: '"runnel status" shows what the gateway does',
  info: '"runnel status" shows what the gateway does',
  top: '"runnel status" shows what the gateway does',
  health: '"runnel status -q" exits with 0 if the gateway is ready',
  passwd: '"runnel hash-password NAME" makes a line for a file of passwords',
  htpasswd: '"runnel hash-password NAME" makes a line for a file of passwords',
  hash: '"runnel hash-password NAME" makes a line for a file of passwords',
  cert: '"runnel tls self-signed NAME" makes a certificate',
  new: '"runnel init" prints a configuration for this machine',
  config: '"runnel init" prints a configuration for this machine, "runnel check" checks one',
  exec: '"runnel run -- COMMAND" streams the output of a command',
  stream: '"runnel run -- COMMAND" streams the output of a command',
  static: '"runnel files FOLDER" serves the files of a folder',
  'file-server': '"runnel files FOLDER" serves the files of a folder',
  'http.server': '"runnel files FOLDER" serves the files of a folder',
};

/** What somebody may have meant by a first word that is no command of ours; undefined where nothing is likely. */
export function commandMeant(word: string, others: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  if (Object.hasOwn(COMMANDS, lower)) return COMMANDS[lower];
  if (word.endsWith('.toml')) return `write: runnel serve -c ${word}`;
  const kind = existsSync(word) ? (statSync(word).isDirectory() ? 'folder' : 'file') : undefined;
  if (kind === 'folder') return `to serve the files of a folder, write: runnel files ${word}`;
  const isProgram = kind === 'file' ? word.includes('/') : isInPath(word);
  if (!isProgram) return undefined;
  return `to stream the output of a program, write: runnel run -- ${[word, ...others].join(' ')}`;
}

/** What to do about a command that is one word in quotes, where the quotes are for a shell; undefined where all is well. */
export function quotesMeant(words: readonly string[]): string | undefined {
  const [line = ''] = words;
  if (words.length !== 1 || !/\S\s+\S/.test(line) || existsSync(line)) return undefined;
  const said = `the command ${JSON.stringify(line)} is one word, because of its quotes`;
  return plainWords(line) === undefined
    ? `${said}, and no shell reads it; write: runnel run -- sh -c '${line.replaceAll("'", "'\\''")}'`
    : `${said}; write: runnel run -- ${line}`;
}

function isInPath(word: string): boolean {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.+-]*$/.test(word)) return false;
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, word)));
}

/** Flags of nginx, lighttpd, httpd and others where "runnel serve" would be started. */
export const SERVE_INSTEAD = {
  '-t': 'to check the configuration, write: runnel check -c FILE',
  '-tt': 'to check the configuration, write: runnel check -c FILE',
  '-T': 'to check the configuration, write: runnel check -c FILE',
  '--test': 'to check the configuration, write: runnel check -c FILE',
  '-s': 'to reload or to stop, write: runnel reload, or: runnel stop',
  '-f': '-c FILE',
  '--file': '-c FILE',
  '-p': 'the port is in the configuration: [[listen]], and below it address = ":8080"',
  '--port': 'the port is in the configuration: [[listen]], and below it address = ":8080"',
  '-l': 'the address is in the configuration: [[listen]], and below it address = ":8080"',
  '--listen': 'the address is in the configuration: [[listen]], and below it address = ":8080"',
  '-d': 'for the background, use systemd: sudo systemctl start runnel',
  '-D': 'it stays in the foreground anyway: leave out the flag',
  '--daemon': 'for the background, use systemd: sudo systemctl start runnel',
  '--debug': 'the level of the log is in the configuration: [log], and below it level = "debug"',
  '--verbose': 'the level of the log is in the configuration: [log], and below it level = "debug"',
  '--log-level': 'the level of the log is in the configuration: [log], and below it level = "debug"',
  '--user': 'the user is that of systemd: User= in the unit; a route that starts programs has a key "user"',
  '--staticdir': 'the flags of websocketd go with: runnel websocketd',
  '--cgidir': 'the flags of websocketd go with: runnel websocketd',
  '--dir': 'the flags of websocketd go with: runnel websocketd',
  '--devconsole': 'the flags of websocketd go with: runnel websocketd',
  '--root': 'to serve the files of a folder without a configuration, write: runnel files FOLDER',
} as const;
