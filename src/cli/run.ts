/** `runnel run`: one command as a stream at /, and a page that shows it, without a file. */
import { hostname } from 'node:os';
import { headerValue } from '../engine/engine.ts';
import { readConfig } from '../gateway/config.ts';
import type { Handler } from '../http/handler.ts';
import { escapeHtml } from '../http/page.ts';
import { parseHost } from '../net/host.ts';
import { openAssets } from '../ops/assets.ts';
import { serveUntilSignal } from './serve.ts';
import { UsageError, type Verb } from './verb.ts';

/** Every client that reaches it can type into the command. */
const LISTEN = '127.0.0.1:8080';

export const run: Verb = {
  name: 'run',
  usage: 'runnel run [-l ADDRESS] -- COMMAND [ARGUMENT…]',
  brief: 'stream the output of one command to a page',
  doc: `Serves a page that shows the output of a command, line by line, as it is printed. Each viewer gets a process of its own, and a
line that the viewer types goes to its input. Only this machine can open the page, unless -l says otherwise. Ctrl-C stops it.`,
  flags: {
    listen: {
      short: 'l',
      value: 'ADDRESS',
      doc: `where to listen (default ${LISTEN}); :8080 means every address of this machine`,
    },
    hosts: {
      value: 'NAMES',
      doc: 'host names under which it may be opened, with commas; * allows any; addresses, localhost and the name of this machine always work',
    },
    engine: { value: 'NAME', doc: 'the network engine: auto (default), uws or node' },
    directory: { short: 'd', value: 'FOLDER', doc: 'the working directory of the command' },
  },
  words: 'command',
  async run({ flags, words }) {
    if (words.length === 0) throw new UsageError('runnel run needs a command: runnel run -- vmstat -n 1');
    const { listen = LISTEN, hosts, engine = 'auto', directory } = flags;
    // A person is watching: lines are to come as they are printed.
    const stream = { command: words, unbuffer: true, ...(directory === undefined ? {} : { directory }) };
    const names = [...ownNames(), ...(hosts?.split(',') ?? [])];
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
