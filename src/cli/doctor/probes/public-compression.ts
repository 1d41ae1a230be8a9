/** Whether what the gateway compresses comes compressed, and once, at a public URL: pages of static routes, asked here and there. */
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { gunzipSync } from 'node:zlib';
import { everyRoute } from '../../../gateway/config.ts';
import type { Finding, Patient } from '../finding.ts';

/** Routes that are asked for, and bytes that are taken of each. */
const MOST_ROUTES = 3;
const MOST_BYTES = 1 << 20;
/** Milliseconds. */
const PATIENCE = 5000;
const GZIP = Buffer.from([0x1f, 0x8b]);

interface Page {
  readonly status: number;
  readonly encoding: string | undefined;
  /** Undefined where it is longer than is taken. */
  readonly body: Buffer | undefined;
}

/** @param url where clients find the gateway */
export async function probePublicCompression(
  url: string,
  { config, pid }: Pick<Patient, 'config' | 'pid'>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const address = config.listen.find(({ address: at, tls }) => at.kind === 'tcp' && at.port > 0 && tls === undefined);
  if (pid === undefined || address?.address.kind !== 'tcp') return [];
  const { host, port } = address.address;
  const own = new URL(`http://${host === '::' || host === '0.0.0.0' ? 'localhost' : bracketed(host)}:${port}/`);
  const paths = everyRoute(config).flatMap(({ kind, key, route }) =>
    kind.name === 'static' && key.startsWith('/') && Reflect.get(route, 'compress') === true ? [key] : [],
  );
  const found = await Promise.all(
    paths.slice(0, MOST_ROUTES).map(async (path): Promise<readonly Finding[]> => {
      const away = new URL(path.slice(1), url.endsWith('/') ? url : `${url}/`);
      const [here, there] = await Promise.all([
        get(new URL(path, own), away.host, signal),
        get(away, away.host, signal),
      ]);
      return here?.encoding !== 'gzip' || there === undefined || there.status !== here.status
        ? []
        : judge(away.href, there);
    }),
  );
  return found.flat();
}

function judge(about: string, { encoding, body }: Page): readonly Finding[] {
  if (encoding === undefined)
    return [
      {
        ...{ level: 'warning', about },
        seen: 'the gateway compresses this page, but it arrives uncompressed',
        matters:
          'pages take several times as long over a slow network, and the gateway has compressed them for nothing',
        remedy: 'let the proxy in between pass Accept-Encoding on, or let it compress instead (nginx: "gzip on;")',
      },
    ];
  if (encoding !== 'gzip' || body === undefined || !isBroken(body)) return [];
  return [
    {
      ...{ level: 'problem', about },
      seen: 'the answer is marked as gzip but is not gzip, or it is compressed twice',
      matters: 'browsers show an error, or unreadable characters',
      remedy: 'switch compression off in the proxy in between, or leave "compress" out here',
    },
  ];
}

function isBroken(body: Buffer): boolean {
  try {
    return gunzipSync(body, { maxOutputLength: 16 * MOST_BYTES })
      .subarray(0, GZIP.length)
      .equals(GZIP);
  } catch (error) {
    // What expands to so much is not looked at.
    return !(error instanceof RangeError);
  }
}

/** Undefined where nothing comes: that is told elsewhere. */
function get(url: URL, host: string, signal: AbortSignal): Promise<Page | undefined> {
  return new Promise((resolve) => {
    const headers = { host, accept: 'text/html', 'accept-encoding': 'gzip' };
    const ask = url.protocol === 'https:' ? secureRequest : plainRequest;
    const asking = ask(url, { headers, signal, agent: false });
    const done = (page: Page | undefined): void => {
      clearTimeout(timer);
      asking.destroy();
      resolve(page);
    };
    const timer = setTimeout(() => done(undefined), PATIENCE);
    asking.on('error', () => done(undefined));
    asking.on('response', (answer: IncomingMessage) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      const page = (body: Buffer | undefined): Page => ({
        ...{ status: answer.statusCode ?? 0, encoding: answer.headers['content-encoding'], body },
      });
      answer.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > MOST_BYTES) done(page(undefined));
        else parts.push(part);
      });
      answer.on('end', () => done(page(Buffer.concat(parts))));
      answer.on('error', () => done(undefined));
    });
    asking.end();
  });
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
