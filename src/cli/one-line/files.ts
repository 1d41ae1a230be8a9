/** `runnel files`: one folder as a web server, without a file. */

import { serveUntilSignal } from '../serve.ts';
import { UsageError, type Verb } from '../verb.ts';
import { announce } from './announcement.ts';
import { tellNotListening } from './free-port.ts';
import { INSTEAD, OPENING_FLAGS, planOpening } from './opening.ts';

export const files: Verb = {
  name: 'files',
  usage: 'runnel files [FLAG…] [FOLDER]',
  brief: 'serve the files of one folder',
  doc: `Serves the files of FOLDER (default: the current one), and lists folders that have no index.html. Nothing outside of FOLDER is
served, not even through a symbolic link, and no file whose name begins with a dot. Only this machine can open it, unless --open-to or
-l says otherwise. Ctrl-C stops it.

Examples:
  runnel files
  runnel files --open-to LAN ~/Pictures
  runnel files -l :9000 --tls --password-file users /srv/share`,
  flags: {
    ...OPENING_FLAGS,
    'no-listing': { doc: 'do not list folders: without an index.html they get 403' },
  },
  instead: {
    ...INSTEAD,
    '-d': 'FOLDER',
    '--directory': 'FOLDER',
    '-r': 'FOLDER',
    '--root': 'FOLDER',
    '--browse': 'nothing: folders are listed',
    '--read-only': 'nothing: files are only read',
  },
  words: 'names',
  operands: ['folder', []],
  async run(line) {
    const { flags, words } = line;
    const [folder = '.', ...more] = words;
    if (more.length > 0) throw new UsageError(`runnel files serves one folder; "${more[0]}" is one too many`);
    const keys = { root: folder, listing: flags['no-listing'] === undefined };
    const opening = planOpening(line, { kind: 'static', keys }, { root: 'FOLDER' });
    const asks = flags['password-file'] !== undefined || flags['token-file'] !== undefined;
    return await serveUntilSignal(opening.config, {
      failed: (message, code) => tellNotListening(opening.config, message, code),
      started: (listening, log) =>
        announce(opening, listening, log, {
          qr: flags['qr'] !== undefined,
          dangers:
            asks && flags['tls'] === undefined ? ['passwords and tokens travel in the clear; --tls encrypts them'] : [],
        }),
    });
  },
};
