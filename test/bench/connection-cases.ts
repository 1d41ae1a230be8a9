/** What a connection costs: accepted, asked once for a file, closed; plain, and with each handshake of TLS. */
import { type BenchCase, column, running } from './case.ts';
import { connections, type Handshake } from './connections.ts';
import { bareFileTls, lighttpd, lighttpdTls, nginx, nginxTls, runnel } from './peers.ts';
import { OPENSSL } from './programs.ts';

const PATH = '/1k.bin';

const HANDSHAKES: readonly Handshake[] = [
  { version: '1.3', resumed: false },
  { version: '1.3', resumed: true },
  { version: '1.2', resumed: false },
  { version: '1.2', resumed: true },
];

const plain: BenchCase = {
  name: 'connections',
  title: 'Connections of one request each (Connection: close), for 1 KiB, 32 at a time',
  needs: ['gcc'],
  columns: [column('connections/s', 0), column('server CPU µs each', 1), column('client CPU %', 0, false)],
  peers: [runnel('auto'), runnel('node'), lighttpd, nginx],
  async measure(_peer, service, { site, seconds }) {
    const { rate, each, share } = await connections(site, running(service), PATH, seconds);
    return [rate, each, share * 100];
  },
};

const secure: BenchCase = {
  name: 'handshakes',
  title: 'The same by TLS: a handshake (P-256), one request for 1 KiB, closed',
  needs: ['gcc', OPENSSL],
  columns: HANDSHAKES.flatMap(({ version, resumed }, at) => {
    const what = `${resumed ? 'resumed' : 'full'}, TLS ${version}`;
    return [
      column(`${what}: /s`, 0),
      column('server CPU µs each', 0),
      ...(at === 0 ? [column('client CPU %', 0, false)] : []),
    ];
  }),
  peers: [runnel('auto', { secure: true }), runnel('node', { secure: true }), lighttpdTls, nginxTls, bareFileTls],
  async measure(_peer, service, { site, seconds }) {
    const row: number[] = [];
    for (const [at, handshake] of HANDSHAKES.entries()) {
      const { rate, each, share } = await connections(site, running(service), PATH, seconds, handshake);
      row.push(rate, each, ...(at === 0 ? [share * 100] : []));
    }
    return row;
  },
};

export const connectionCases: readonly BenchCase[] = [plain, secure];
