/** What `connect` is told, and what it makes of that: defaults, and an address in one form. */
import type { X509Certificate } from 'node:crypto';

export type Transport = 'websocket' | 'events' | 'poll';

export interface Tls {
  /** Certificates in PEM that are trusted instead of those of the system. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
  /**
   * "sha256//" and the base64 of the SHA-256 of the server's public key (its SubjectPublicKeyInfo), one or more. A server with such a key is
   * trusted whoever has issued its certificate, whatever its name and age; with `ca` its certificate has to be right as well.
   */
  readonly pin?: string | readonly string[];
  /** The name that is asked for and that the certificate must have, instead of the host of the URL. */
  readonly serverName?: string;
  /**
   * Decides alone, instead of the rules above: true lets the connection through. It sees the chain that the server has sent, its own
   * certificate first, and what is wrong with it by the other rules.
   */
  readonly trust?: (server: {
    readonly chain: readonly X509Certificate[];
    readonly problem: Error | undefined;
  }) => boolean | Promise<boolean>;
  /** The client's own certificate with its chain, and its key, in PEM. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly passphrase?: string;
}

/** Milliseconds. */
export interface Times {
  /** Until the connection is made, to the proxy or the server; the look-up of the name included. */
  readonly connect: number;
  /** Until the TLS handshake is over. */
  readonly tls: number;
  /** Until the server, or the proxy, has answered. */
  readonly answer: number;
  /** Between two pings. A peer of which nothing is heard for two of them is given up. */
  readonly ping: number;
  /** How long a peer may take nothing of what waits for it, without a word. */
  readonly stall: number;
  /** Until the other side has answered a close. */
  readonly close: number;
}

const TIMES: Times = { connect: 10_000, tls: 10_000, answer: 10_000, ping: 25_000, stall: 60_000, close: 5000 };

/** What is told about a stream beside its messages. */
export type StreamEvent =
  /** Connected, also again. */
  | { readonly type: 'open'; readonly facts: Facts }
  /** Messages that are gone; undefined when nobody knows how many. */
  | { readonly type: 'missed'; readonly count: number | undefined }
  /** A sentence about the stream for people. */
  | { readonly type: 'notice'; readonly text: string }
  /** A line of the program's stderr, where the stream has stderr = "client". */
  | { readonly type: 'stderr'; readonly text: string }
  /** It was lost, or could not be had; it is tried again after `delay` milliseconds. */
  | { readonly type: 'waiting'; readonly reason: string; readonly delay: number };

/** What is known of the connection. */
export interface Facts {
  readonly transport: Transport;
  /** The subprotocol that was agreed on. */
  readonly protocol?: string;
  /** Of a gateway that numbers messages: the client's name to a tagged program. */
  readonly client?: string;
  /** A secret, by which POSTs of this client are known. */
  readonly session?: string;
  /** Milliseconds between the gateway's pings. */
  readonly ping?: number;
  /** Messages travel in this encoding; what is read has been decoded. */
  readonly encoding?: string;
}

export interface ConnectOptions {
  /** The ways to try, in this order. Default: all three, or only "websocket" for a URL with ws: or wss:. */
  readonly transports?: readonly Transport[];
  /**
   * Whether to ask for messages with ids (`?after=`), which a gateway can resume. Default: for http: and https:, and wherever `after` or
   * `reconnect` is set. Without, the request is exactly the URL.
   */
  readonly resume?: boolean;
  /** The id of the last message that is there already. */
  readonly after?: string;
  /** Whether to connect again when the connection is lost or cannot be had. `true`: also when the server has ended the stream. Default: false. */
  readonly reconnect?: boolean | 'unless-ended';
  /** The longest wait before it tries again, milliseconds. Default: 30,000. */
  readonly maxDelay?: number;
  readonly headers?: { readonly [name: string]: string };
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: string;
  /** Subprotocols to offer. */
  readonly protocols?: readonly string[];
  /** The message that tells the server that nothing more will be sent: `eof_message` of the stream. It is sent when `writable` is closed. */
  readonly eofMessage?: string | Uint8Array;
  readonly tls?: Tls;
  /** "http://user:password@proxy:3128"; https: encrypts the way to the proxy. False: none. Default: what the environment says. */
  readonly proxy?: string | false;
  /** How an https: proxy shows who it is. */
  readonly proxyTls?: Pick<Tls, 'ca' | 'pin' | 'serverName'>;
  /** The Unix socket on which the server listens; the URL says the rest. */
  readonly socketPath?: string;
  readonly times?: Partial<Times>;
  /** The largest message that is taken, bytes. Default: 16 MiB. */
  readonly maxMessage?: number;
  /** Ends everything. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: StreamEvent) => void;
}

/** The options with their defaults. */
export interface Plan {
  /** http: or https:, without user and fragment. */
  readonly url: URL;
  readonly transports: readonly Transport[];
  readonly resume: boolean;
  readonly after: string;
  readonly reconnect: boolean | 'unless-ended';
  readonly maxDelay: number;
  readonly headers: { readonly [name: string]: string };
  readonly protocols: readonly string[];
  readonly eofMessage: string | Uint8Array | undefined;
  readonly tls: Tls;
  readonly proxy: string | false | undefined;
  readonly proxyTls: Tls;
  readonly socketPath: string | undefined;
  readonly times: Times;
  readonly maxMessage: number;
  readonly onEvent: (event: StreamEvent) => void;
}

const ALL: readonly Transport[] = ['websocket', 'events', 'poll'];
/** A name of HTTP (RFC 9110 section 5.6.2). */
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const SCHEMES: ReadonlyMap<string, string> = new Map([
  ['ws:', 'http:'],
  ['wss:', 'https:'],
  ['http:', 'http:'],
  ['https:', 'https:'],
]);

/** Throws a `TypeError` for what cannot be meant. */
export function planOf(address: string | URL, options: ConnectOptions): Plan {
  const given = parsed(address);
  const scheme = SCHEMES.get(given.protocol);
  if (scheme === undefined) throw new TypeError(`${given.protocol} is no scheme of a stream: ws, wss, http or https`);
  const url = new URL(`${scheme}${given.href.slice(given.protocol.length)}`);
  const { username, password } = url;
  url.username = url.password = url.hash = '';
  const onlyWebSocket = given.protocol.startsWith('ws');
  const { after, reconnect = false, transports = onlyWebSocket ? ['websocket'] : ALL, token } = options;
  if (transports.length === 0 || transports.some((name) => !ALL.includes(name)))
    throw new TypeError(`transports are some of ${ALL.join(', ')}`);
  const { protocols = [] } = options;
  if (protocols.some((name) => !TOKEN.test(name)) || new Set(protocols).size < protocols.length)
    throw new TypeError('subprotocols are words such as "mqtt", each once');
  const headers: { [name: string]: string } = {};
  if (username !== '' || password !== '')
    headers['authorization'] = basic(decodedPart(username), decodedPart(password));
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = value;
  for (const [name, value] of Object.entries(headers)) {
    if (!TOKEN.test(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a header field`);
    // The value may be a secret.
    if (!FIELD_VALUE.test(value))
      throw new TypeError(`the header field "${name}" has a character that cannot be sent: only Latin-1 can`);
  }
  return {
    url,
    transports,
    resume: options.resume ?? (!onlyWebSocket || after !== undefined || reconnect !== false),
    after: after ?? '',
    reconnect,
    maxDelay: options.maxDelay ?? 30_000,
    headers,
    protocols,
    eofMessage: options.eofMessage,
    tls: options.tls ?? {},
    proxy: options.proxy,
    proxyTls: options.proxyTls ?? {},
    socketPath: options.socketPath,
    times: { ...TIMES, ...options.times },
    maxMessage: options.maxMessage ?? 16 * 1024 * 1024,
    onEvent: options.onEvent ?? (() => undefined),
  };
}

function parsed(address: string | URL): URL {
  try {
    // "board:8080/x" is a URL of the scheme "board:".
    if (address instanceof URL || /^\s*[a-z]+:\/\//i.test(address)) return new URL(address);
    throw new TypeError('no scheme');
  } catch {
    // Without the text itself: a password may be in it.
    throw new TypeError(
      'that is no URL of a stream: it begins with http:// or https://, as in https://board.lan/live/sensors',
    );
  }
}

/** A user or a password, as it stands in a URL. Throws a `TypeError`. */
export function decodedPart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError('the user and the password of a URL are written in percent-encoded UTF-8: "%" is "%25"');
  }
}

/** The value of a field that shows a user and a password (RFC 7617). */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** Host and port of a URL as the system takes them: an IPv6 address without brackets. */
export function endpoint(url: URL): { readonly host: string; readonly port: number } {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { host, port: Number(url.port || (url.protocol === 'https:' ? 443 : 80)) };
}
