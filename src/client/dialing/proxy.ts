/** The HTTP proxy in the way, if there is one: which it is, and the tunnel through it (RFC 9110 section 9.3.6). */
import { type IncomingMessage, request } from 'node:http';
import { BlockList, isIP, type Socket } from 'node:net';
import { ConnectionError } from '../errors.ts';
import { basic, decodedPart, endpoint } from '../options.ts';
import { type Limit, within } from './within.ts';

export interface HttpProxy {
  readonly url: URL;
  /** Without user and password, for messages. */
  readonly name: string;
  /** The value of Proxy-Authorization. */
  readonly authorization: string | undefined;
}

type Environment = { readonly [name: string]: string | undefined };

/** Throws a `TypeError`. "proxy:3128" is "http://proxy:3128". */
export function parseProxy(text: string): HttpProxy {
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    throw new TypeError('the proxy is no URL, such as http://proxy.lan:3128');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new TypeError(`a proxy by ${url.protocol} is not supported: only http: and https: are`);
  const { username, password } = url;
  const authorization =
    username === '' && password === '' ? undefined : basic(decodedPart(username), decodedPart(password));
  return { url, name: `${url.protocol}//${url.host}`, authorization };
}

/**
 * What the environment says, as curl reads it: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, where the lower-case names count first.
 * Within a CGI program HTTP_PROXY is a field of the request, so it is not believed there.
 */
export function environmentProxy(url: URL, env: Environment): HttpProxy | undefined {
  const value = (name: string): string | undefined => env[name.toLowerCase()] || env[name] || undefined;
  if (isExempt(url, value('NO_PROXY') ?? '')) return undefined;
  const isCgi = env['REQUEST_METHOD'] !== undefined;
  const own = url.protocol === 'https:' ? value('HTTPS_PROXY') : isCgi ? env['http_proxy'] : value('HTTP_PROXY');
  const text = own || value('ALL_PROXY');
  return text === undefined ? undefined : parseProxy(text);
}

/** Entries are "*", a name (and all names below it), an address, a range such as 10.0.0.0/8, each also with ":port". */
function isExempt(url: URL, list: string): boolean {
  const { host, port } = endpoint(url);
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      const [, name = '', wanted] =
        /^(?:\[(?=.*\]))?(.*?)\]?(?::(\d+))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry) ?? [];
      if (wanted !== undefined && Number(wanted) !== port) return false;
      if (isIP(host) !== 0) return isWithin(host, name);
      const suffix = name.replace(/^\*?\./, '');
      return host === suffix || host.endsWith(`.${suffix}`);
    });
}

function isWithin(address: string, entry: string): boolean {
  const [base = '', bits] = entry.split('/');
  const family = isIP(base) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(base) !== isIP(address)) return false;
  const list = new BlockList();
  const length = bits === undefined ? (family === 'ipv6' ? 128 : 32) : Number(bits);
  if (!Number.isInteger(length) || length < 0 || length > (family === 'ipv6' ? 128 : 32)) return false;
  list.addSubnet(base, length, family);
  return list.check(address, family);
}

/** Asks the proxy, over a connection to it, for one to the server. The socket is then that one, and paused. */
export async function tunnel(socket: Socket, proxy: HttpProxy, target: URL, limit: Limit): Promise<void> {
  const { host, port } = endpoint(target);
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const { authorization } = proxy;
  const answer = await within<{ response: IncomingMessage; head: Buffer }>(limit, (resolve, reject) => {
    const asked = request({
      method: 'CONNECT',
      path: authority,
      setHost: false,
      headers: { host: authority, ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }) },
      createConnection: () => socket,
    });
    asked.on('socket', () => socket.resume());
    asked.on('connect', (response, _socket, head) => resolve({ response, head }));
    asked.on('response', (response) => resolve({ response, head: Buffer.alloc(0) }));
    asked.on('error', (cause) => {
      const what = isParseError(cause) ? 'gave an answer that is not HTTP' : 'closed the connection';
      reject(new ConnectionError('proxy', `the proxy ${proxy.name} ${what}`, { cause }));
    });
    asked.end();
  });
  socket.pause();
  const { response, head } = answer;
  const status = response.statusCode ?? 0;
  if (status < 200 || status > 299) throw refusal(proxy, authority, response, status);
  if (head.length > 0) throw new ConnectionError('proxy', `the proxy ${proxy.name} sent unexpected bytes`);
}

/** The codes of Node's HTTP parser begin so. */
function isParseError(error: Error): boolean {
  return 'code' in error && String(error.code).startsWith('HPE_');
}

function refusal(proxy: HttpProxy, authority: string, response: IncomingMessage, status: number): ConnectionError {
  if (status !== 407) {
    const words = `${status} ${response.statusMessage ?? ''}`.trim();
    return new ConnectionError('proxy', `the proxy ${proxy.name} does not connect to ${authority}: ${words}`, {
      status,
    });
  }
  const schemes = [...schemesOf(response)];
  if (!schemes.some((scheme) => scheme.toLowerCase() === 'basic')) {
    const wanted = schemes.length === 0 ? 'no scheme that it names' : schemes.join(', ');
    return new ConnectionError('proxy', `the proxy ${proxy.name} wants ${wanted}; only Basic is supported`, { status });
  }
  const what = proxy.authorization === undefined ? 'wants a user and a password' : 'refuses the user or the password';
  return new ConnectionError('proxy', `the proxy ${proxy.name} ${what}`, { status });
}

/** The names of the schemes in Proxy-Authenticate, each once. A comma separates parameters too: those have a "=". */
function schemesOf(response: IncomingMessage): ReadonlySet<string> {
  const fields = response.rawHeaders.filter(
    (_text, index, all) => index % 2 === 1 && all[index - 1]?.toLowerCase() === 'proxy-authenticate',
  );
  const parts = fields.flatMap((field) => field.replace(/"(?:[^"\\]|\\.)*"/g, '""').split(','));
  const names = parts.map((part) => /^\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s+[^=\s]|\s*$)/.exec(part)?.[1]);
  return new Set(names.filter((name) => name !== undefined));
}
