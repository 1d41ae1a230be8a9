/** `runnel connect`: a stream to stdin and stdout, to a program, or to connections of others. */
import { UsageError, type Verb } from '../verb.ts';

export const connect: Verb = {
  name: 'connect',
  usage: 'runnel connect [FLAG…] URL [-- COMMAND…]',
  brief: 'bring a stream to stdin and stdout',
  doc: `Connects to a stream. Each message is a line of stdout, and each line of stdin is a message. With COMMAND, that program has the stream
as its stdin and stdout. URL begins with ws: or wss: for any WebSocket, or with http: or https: for a stream of runnel, which is then
resumed, and followed by event stream or polling where a WebSocket does not get through.

When stdin ends, the stream goes on until the server ends it; --eof and --linger say otherwise. Ctrl-C closes it.

  runnel connect https://board.lan/live/sensors
  runnel connect --reconnect --json https://board.lan/live/sensors
  runnel connect --listen 127.0.0.1:1883 --protocol mqtt wss://board.lan/mqtt

It exits with
  0    the stream was closed with 1000, --count was reached, or nobody reads stdout any more
  1    the server closed it with another code, such as 1011: its program failed
  2    the command line is wrong
  65   a message could not be sent: it does not fit the framing, or the server refused it
  68   there is no such host
  69   the server or the proxy cannot be reached, or is too busy
  74   the connection was lost
  76   what the server said is no stream
  77   the server is not trusted (TLS), or it or the proxy wants a password (401, 403, 407)
  124  --timeout has passed
  130  Ctrl-C; 143: TERM
and with the status of COMMAND where that ends first.`,
  flags: {
    reconnect: { short: 'r', doc: 'connect again when the connection is lost or cannot be had' },
    after: { value: 'ID', doc: 'begin behind the message with this id' },
    json: { short: 'j', doc: 'print a line of JSON for each message: {"id":…,"data":…}, or "base64" for binary data' },
    count: { short: 'n', value: 'N', doc: 'end after so many messages' },
    timeout: { value: 'DURATION', doc: 'end after this time, such as 30s, with status 124' },
    framing: {
      short: 'f',
      value: 'NAME',
      choices: ['lines', 'raw', 'length-prefixed'],
      doc: 'how messages lie in stdin and stdout: lines (default), raw (default of --listen), or length-prefixed',
    },
    eof: { value: 'TEXT', doc: 'the message to send when stdin ends: eof_message of the stream' },
    linger: {
      value: 'DURATION',
      doc: 'after the end of stdin, close when nothing has come for this time (default of --listen: 10s; else never)',
    },
    listen: {
      short: 'l',
      value: 'ADDRESS',
      doc: 'take connections at 127.0.0.1:1883 or unix:PATH; each gets a stream of its own',
    },
    'max-connections': { value: 'N', doc: 'of --listen, at a time (default 64)' },
    'token-file': { value: 'FILE', doc: 'a file with a bearer token' },
    'password-file': { value: 'FILE', doc: 'a file with USER:PASSWORD for the server' },
    headers: { value: 'FILE', doc: 'a file with further header fields, one "Name: value" a line' },
    protocol: { value: 'NAMES', doc: 'subprotocols to offer, with commas' },
    transport: { value: 'NAMES', doc: 'the ways to try, with commas: websocket, events, poll' },
    plain: { doc: 'ask for exactly URL, without ids' },
    ca: { value: 'FILE', doc: 'certificates (PEM) to trust instead of those of the system' },
    pin: { value: 'PINS', doc: 'trust the server with this public key, sha256//…; several with commas' },
    'server-name': { value: 'NAME', doc: 'the name that the certificate must have, instead of the host of URL' },
    cert: { value: 'FILE', doc: 'the certificate (PEM) that this client shows' },
    key: { value: 'FILE', doc: 'its key (PEM)' },
    proxy: {
      value: 'URL',
      doc: 'an HTTP proxy, http: or https:, instead of what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say; "none" for none',
    },
    'proxy-password-file': { value: 'FILE', doc: 'a file with USER:PASSWORD for the proxy' },
    'proxy-ca': { value: 'FILE', doc: 'certificates (PEM) to trust for an https: proxy' },
    'unix-socket': { value: 'FILE', doc: 'connect to this Unix socket; URL says the rest' },
    ping: { value: 'DURATION', doc: 'between two pings (default 25s); a peer that is gone is noticed within two' },
    'connect-timeout': { value: 'DURATION', doc: 'for connecting, for TLS and for the answer, each (default 10s)' },
    'max-message': { value: 'SIZE', doc: 'the largest message either way, such as 1MiB (default 16MiB)' },
    quiet: { short: 'q', doc: 'say nothing on stderr but why it failed' },
  },
  words: 'names',
  operands: [[], 'command'],
  async run({ flags, words }) {
    const [url, ...command] = words;
    if (url === undefined)
      throw new UsageError('runnel connect needs a URL: runnel connect https://board.lan/live/sensors');
    const { readSettings } = await import('./settings.ts');
    const settings = readSettings(url, command, flags);
    const { runConnect } = await import('./run.ts');
    return await runConnect(settings);
  },
};
