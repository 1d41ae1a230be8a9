/**
 * The gateway that runs already, as a verb finds it: by the address that `[admin]` of a configuration names, with a request over it. The
 * rest of the configuration is not looked at: whoever asks need not be able to read its files, and it may have been changed since.
 */
import { request } from 'node:http';
import { dirname, resolve } from 'node:path';
import { decodeSource, readSource, type SourceTrouble } from '../../config/reading/source.ts';
import { parseToml } from '../../config/reading/toml.ts';
import { tableAt } from '../../config/route-schema.ts';
import { type Address, parseAddress } from '../../config/values/simple.ts';
import { systemCode } from '../../ops/system-errors.ts';

/** Milliseconds that an answer may take. */
const PATIENCE = 5000;
/** Bytes of an answer. */
const MOST = 16 << 20;

/** There is no gateway to be asked, or it does not answer. The message is a sentence for people. */
export class NoGateway extends Error {
  override readonly name = 'NoGateway';
}

/** Where the running gateway is asked. */
export interface AdminAddress {
  /** As the configuration has it. */
  readonly text: string;
  readonly to: { readonly host: string; readonly port: number } | { readonly socketPath: string };
}

export interface AdminRequest {
  readonly method: 'GET' | 'POST';
  /** With its query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** What proves who asks: the value of the header field Authorization. */
  readonly authorization?: string | undefined;
  /** Milliseconds; 5 s when left out. */
  readonly patience?: number;
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/** Where the gateway of this configuration file is asked; undefined where the file does not say. Throws a `NoGateway` for a file that cannot be read. */
export function adminAddress(file: string): AdminAddress | undefined {
  const { listen } = tableAt(readTables(file), ['admin']);
  if (typeof listen !== 'string') return undefined;
  const address = parseAddress(listen, dirname(resolve(file)));
  if (address === undefined) throw new NoGateway(`${file}: [admin] listen = ${JSON.stringify(listen)} is no address`);
  const to = target(address);
  return to === undefined ? undefined : { text: listen, to };
}

/** Resolves with the answer, whatever its status is. Rejects with a `NoGateway`. */
export function askGateway({ text, to }: AdminAddress, asked: AdminRequest): Promise<AdminAnswer> {
  const { method, path, body, authorization, patience = PATIENCE } = asked;
  const json = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((answered, failed) => {
    const fail = (why: string): void => failed(new NoGateway(`${text} ${why}`));
    const headers = {
      // Over a Unix socket, too, it answers only for hosts that it knows.
      host: 'host' in to ? hostField(to.host, to.port) : 'localhost',
      accept: 'application/json',
      connection: 'close',
      ...(json === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }),
      ...(authorization === undefined ? {} : { authorization }),
    };
    const asking = request({ ...to, method, path, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MOST) asking.destroy(new Error('more than 16 MiB'));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        clearTimeout(late);
        answered({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
      });
      response.on('error', (error) => fail(`sent an incomplete answer: ${error.message}`));
    });
    const late = setTimeout(() => asking.destroy(new Error(`no answer within ${patience / 1000} s`)), patience);
    asking.on('error', (error) => {
      clearTimeout(late);
      const code = systemCode(error);
      fail(code === undefined ? `does not answer: ${error.message}` : noConnection(code));
    });
    asking.end(json);
  });
}

function readTables(file: string): ReturnType<typeof tableAt> {
  const source = readSource(file);
  if (!Buffer.isBuffer(source)) throw unreadable(file, source);
  const text = decodeSource(source);
  if (typeof text !== 'string') throw unreadable(file, text);
  const parsed = parseToml(text);
  if (!parsed.ok) throw unreadable(file, parsed.trouble);
  return parsed.table;
}

function unreadable(file: string, { message, position }: SourceTrouble): NoGateway {
  return new NoGateway(`${file}${position === undefined ? '' : `:${position.line}`}: ${message}`);
}

/** Undefined for a socket of systemd, and for port 0, which is another one each time. */
function target(address: Address): AdminAddress['to'] | undefined {
  if (address.kind === 'unix') return { socketPath: address.path };
  if (address.kind === 'systemd' || address.port === 0) return undefined;
  const own: { readonly [every: string]: string } = { '::': 'localhost', '0.0.0.0': '127.0.0.1' };
  return { host: own[address.host] ?? address.host, port: address.port };
}

function hostField(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function noConnection(code: string): string {
  const none = code === 'ECONNREFUSED' || code === 'ENOENT';
  if (none)
    return `does not answer, because no gateway listens there (${code}); is it running with this configuration?`;
  if (code === 'EACCES') return 'does not let this user connect (EACCES); see the mode, owner and group of the socket';
  return `cannot be reached (${code})`;
}
