/** `runnel run`: one command as a stream at /, and a page that shows it, without a file. */
import { hostname } from 'node:os';
import { readConfig } from '../config/load.ts';
import { headerValue } from '../engine/engine.ts';
import type { Handler } from '../http/handler.ts';
import { escapeHtml } from '../http/page.ts';
import { parseHost } from '../net/host.ts';
import { openAssets } from '../ops/assets.ts';
import { UsageError, type Verb } from './flags.ts';
import { serveUntilSignal } from './serve.ts';

/** Whoever reaches it can type into the command. */
const LISTEN = '127.0.0.1:8080';

export const run: Verb = {
  name: 'run',
  usage: 'runnel run [-l ADDRESS] -- COMMAND [ARGUMENT…]',
  brief: 'one command as a live page, no file needed',
  doc: 'Runs a command for each viewer: what it prints streams to a page, line by line, and what they type goes to it. Only this machine can reach it, unless -l says otherwise.',
  flags: {
    listen: {
      short: 'l',
      value: 'ADDRESS',
      doc: `where to listen: ${LISTEN} unless set, :8080 for every address of this machine`,
    },
    hosts: {
      value: 'NAMES',
      doc: "names under which it may be opened, with commas; addresses, localhost and this machine's own name always may, * is any",
    },
    engine: { value: 'NAME', doc: 'the network engine: auto (the default), uws or node' },
    directory: { short: 'd', value: 'FOLDER', doc: 'the working directory of the command' },
  },
  words: true,
  async run({ flags, words }) {
    if (words.length === 0) throw new UsageError('runnel run needs a command: runnel run -- vmstat -n 1');
    const { listen = LISTEN, hosts, engine = 'auto', directory } = flags;
    // A person is watching: lines are to come as they are printed.
    const stream = { command: words, unbuffer: true, ...(directory === undefined ? {} : { directory }) };
    const names = [...ownNames(), ...(typeof hosts === 'string' ? hosts.split(',') : [])];
    const listeners = [{ address: listen, engine, hosts: names }];
    const result = readConfig({ listen: listeners, stream: { '/': stream } }, 'the command line');
    if (!result.ok)
      throw new UsageError(
        result.problems.map(({ path, message }) => `${path.replace(/^.*\./, '')}: ${message}`).join('\n'),
      );
    const page = openAssets()
      .read('browser/run.html')
      .toString()
      .replaceAll('{{title}}', () => escapeHtml(words.join(' ')));
    return await serveUntilSignal(result.config, { wrap: (_key, handler) => pageBefore(handler, page) });
  },
};

/** What other machines of the network call this one; ".local" is multicast DNS (RFC 6762). */
function ownNames(): readonly string[] {
  const host = parseHost(hostname());
  return host?.kind === 'name' ? [host.name, `${host.name}.local`] : [];
}

/** Browsers get the page, WebSockets the stream, both at the same address. */
function pageBefore(stream: Handler, page: string): Handler {
  return {
    kind: stream.kind,
    methods: ['GET', 'HEAD'],
    takesBody: false,
    // What a link leads to is open all the same.
    crossSite: 'same-origin',
    pacesItself: true,
    begin: () => stream.begin?.(),
    retire: (reason) => stream.retire(reason),
    close: () => stream.close(),
    handle(call) {
      const wantsPage =
        call.handshake === undefined && (headerValue(call.request.headers, 'accept') ?? '*/*').includes('*/*');
      if (!wantsPage) return stream.handle(call);
      return {
        status: 200,
        headers: [
          ['content-type', 'text/html; charset=utf-8'],
          ['cache-control', 'no-cache'],
        ],
        body: page,
      };
    },
  };
}
