/** The command line of websocketd as a configuration of ours: tables as a file would have them. Pure. */
import { isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import type { WebsocketdLine } from './command-line.ts';

export type TomlValue = string | number | boolean | readonly TomlValue[] | TomlTable;
export interface TomlTable {
  readonly [key: string]: TomlValue;
}

/** Milliseconds that a program has for each step of its ending; --closems is added to each. */
const ENDING = { interrupt: 100, terminate: 250, kill: 500 };
/** Milliseconds: the most that a step of the ending may take. */
const MAX_ENDING = 10 * 60_000;
/** Milliseconds: the shortest and the longest interval of our pings. */
const MIN_PING = 100;
const MAX_PING = 60 * 60_000;
/** Bytes: our largest message, which stands for "no limit". */
const MAX_MESSAGE = 64 << 20;
/** Of the lines of a program websocketd knows no limit; one without an end must not fill the memory. */
const MAX_LINE = '16MiB';
/** The most programs that a configuration allows: stands for "no limit". */
const MANY = 100_000;
const USUAL_PORT = { plain: 80, tls: 443 };

/** @param version of runnel */
export function translate(line: WebsocketdLine, version: string): TomlTable {
  const { flags, command } = line;
  const maxForks = flags.maxforks > 0 ? Math.min(flags.maxforks, MANY) : MANY;
  const environment = {
    pass_env: passedNames(flags.passenv),
    env: { SERVER_SOFTWARE: `websocketd/runnel-${version}` },
  };
  const http = headerTable([...flags.header, ...flags['header-http']]);
  const hasStreams = command.length > 0 || flags.dir !== '';
  return {
    listen: listeners(flags),
    processes: { max: maxForks },
    // Each request is a line of the log from --loglevel=access on.
    log: { requests: ['debug', 'trace', 'access'].includes(flags.loglevel) },
    ...(hasStreams ? { stream: { '/': stream(line, maxForks, environment) } } : {}),
    ...(flags.cgidir === ''
      ? {}
      : {
          cgi: {
            '/': {
              root: resolve(flags.cgidir),
              ...(flags.staticdir === '' ? {} : { pass_missing: true }),
              max_processes: maxForks,
              ...environment,
              ...http,
            },
          },
        }),
    ...(flags.staticdir === '' ? {} : { static: { '/': { root: resolve(flags.staticdir), listing: true, ...http } } }),
  };
}

/** What every WebSocket gets, whatever its path. */
function stream({ flags, command }: WebsocketdLine, maxForks: number, environment: TomlTable): TomlTable {
  const closing = Math.min(flags.closems, MAX_ENDING - ENDING.kill);
  return {
    ...(command.length > 0 ? { command } : { root: resolve(flags.dir) }),
    websocket_only: true,
    ...(flags.binary ? { framing: 'raw' } : {}),
    ...(flags.passstderr ? { stderr: 'json' } : {}),
    max_message: MAX_LINE,
    max_client_message: bytes(flags.maxframesize),
    max_processes: maxForks,
    ...(flags.pingms > 0 ? { ping_interval: `${Math.min(Math.max(flags.pingms, MIN_PING), MAX_PING)}ms` } : {}),
    interrupt_after: `${ENDING.interrupt + closing}ms`,
    terminate_after: `${ENDING.terminate + closing}ms`,
    kill_after: `${ENDING.kill + closing}ms`,
    ...(flags.reverselookup ? { reverse_lookup: true } : {}),
    ...environment,
    ...corsOf(flags),
    ...headerTable([...flags.header, ...flags['header-ws']]),
    // A fast client is held back, not closed.
    limits: { messages_per_second: 0, message_bytes_per_second: '0B' },
  };
}

function listeners(flags: WebsocketdLine['flags']): readonly TomlTable[] {
  const { ssl, unixsocket, redirport } = flags;
  const port = flags.port || (ssl ? USUAL_PORT.tls : USUAL_PORT.plain);
  const tls: TomlTable = ssl
    ? {
        tls: {
          certificate: resolve(flags.sslcert),
          key: resolve(flags.sslkey),
          ...(flags.sslca === '' ? {} : { client: { ca: resolve(flags.sslca) } }),
        },
      }
    : {};
  const onlyUnix = unixsocket !== '' && flags.port === 0 && flags.address.length === 0 && redirport === 0;
  const hosts = onlyUnix ? [] : flags.address.length === 0 ? [''] : flags.address.map(inBrackets);
  return [
    ...hosts.map((host) => ({ address: `${host}:${port}`, ...tls })),
    ...(unixsocket === '' ? [] : [{ address: `unix:${resolve(unixsocket)}`, ...tls }]),
    ...(redirport === 0
      ? []
      : hosts.map((host) => ({ address: `${host}:${redirport}`, redirect: `${ssl ? 'https' : 'http'}:${port}` }))),
  ];
}

function inBrackets(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

/** A limit in bytes; 0 or less is none. */
function bytes(limit: number): string {
  return `${limit > 0 ? Math.min(limit, MAX_MESSAGE) : MAX_MESSAGE}B`;
}

function passedNames(list: string): readonly string[] {
  const names = list.split(',').map((name) => name.trim());
  // HTTPS says how the client has come, so it is never the gateway's own.
  return [...new Set(names)].filter((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== 'HTTPS');
}

/** Pages of which origins may open a WebSocket: of all, where the line says nothing. */
function corsOf({ origin, sameorigin }: WebsocketdLine['flags']): TomlTable {
  if (origin !== '') return { cors: { origins: origin.split(',').flatMap(originPatterns) } };
  return sameorigin ? {} : { cors: { origins: ['*', 'null', 'file://'] } };
}

/** `[scheme://]host[:port]`: without a scheme both, without a port any. */
function originPatterns(entry: string): readonly string[] {
  const [, scheme, rest = ''] = /^(?:([^:/]+):\/\/)?(.*)$/s.exec(entry.trim()) ?? [];
  if (rest === '') return [];
  const host = inBrackets(rest);
  const withPort = /:\d+$/.test(host) && !host.endsWith(']') ? host : `${host}:*`;
  return (scheme === undefined ? ['http', 'https'] : [scheme]).map((each) => `${each}://${withPort}`);
}

/** By the name of each field, all its values. */
export function headerFields(lines: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const fields = new Map<string, readonly string[]>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^:]*):?(.*)$/s.exec(line) ?? [];
    const key = name.trim().toLowerCase();
    fields.set(key, [...(fields.get(key) ?? []), value.trim()]);
  }
  return fields;
}

function headerTable(lines: readonly string[]): TomlTable {
  if (lines.length === 0) return {};
  const fields = [...headerFields(lines)].map(([name, values]) => {
    const [only = ''] = values;
    return [name, values.length === 1 ? only : values] as const;
  });
  return { headers: Object.fromEntries(fields) };
}
