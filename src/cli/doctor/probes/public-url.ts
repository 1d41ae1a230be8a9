/** What stands between clients and the gateway: whether events, compression and WebSockets come through at a public URL. */
import { randomBytes } from 'node:crypto';
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import type { Finding } from '../finding.ts';

/** The stream of the gateway's own that says something every second. */
const TICKING = '.runnel/check/stream';
/** Two ticks and something for the way, milliseconds. */
const PATIENCE = 6000;

/** @param url where clients find the gateway, as "https://board.example.org/" */
export async function probePublicUrl(url: string, signal: AbortSignal): Promise<readonly Finding[]> {
  const about = url;
  const ticking = new URL(TICKING, url.endsWith('/') ? url : `${url}/`);
  const findings: Finding[] = [];
  const events = await listen(ticking, signal);
  if ('failed' in events)
    return [
      {
        ...{ level: 'problem', about },
        seen: `${ticking.href}: ${events.failed}`,
        matters: 'clients do not get to the gateway by this name',
        remedy:
          'see the name ("getent hosts"), the firewall, the certificate, and where the proxy in between leads to; the configuration needs a stream for this look',
      },
    ];
  if (events.pieces < 2)
    findings.push({
      ...{ level: 'problem', about },
      seen: `of an event stream that says something every second, ${events.pieces === 0 ? 'nothing' : 'one piece'} came within ${PATIENCE / 1000} s`,
      matters: 'a proxy holds answers back, so viewers see events late or never',
      remedy:
        'switch its buffering off for this path (nginx: "proxy_buffering off;"; deploy/behind-a-proxy.md has others)',
    });
  if (events.encoding !== undefined)
    findings.push({
      ...{ level: 'warning', about },
      seen: `a proxy compresses event streams (Content-Encoding: ${events.encoding})`,
      matters: 'events wait in its compressor until it has enough of them',
      remedy: 'leave text/event-stream out of what it compresses (nginx: gzip_types)',
    });
  const upgraded = await upgrade(ticking, signal);
  if (upgraded !== undefined)
    findings.push({
      ...{ level: 'problem', about },
      seen: `a WebSocket does not come through: ${upgraded}`,
      matters: 'pages fall back to event streams, and other WebSocket clients fail',
      remedy:
        'pass Upgrade and Connection on, with HTTP/1.1 (nginx: "proxy_http_version 1.1;", "proxy_set_header Upgrade $http_upgrade;", "proxy_set_header Connection upgrade;")',
    });
  return findings;
}

type Events = { readonly pieces: number; readonly encoding: string | undefined } | { readonly failed: string };

function listen(url: URL, signal: AbortSignal): Promise<Events> {
  return new Promise((resolve) => {
    const headers = { accept: 'text/event-stream', 'accept-encoding': 'gzip' };
    let response: IncomingMessage | undefined;
    let pieces = 0;
    const asking = ask(url, { headers, signal });
    const timer = setTimeout(() => done(), PATIENCE);
    const done = (failed?: string): void => {
      clearTimeout(timer);
      asking.destroy();
      const why = failed ?? (response === undefined ? 'no answer in time' : undefined);
      resolve(why === undefined ? { pieces, encoding: response?.headers['content-encoding'] } : { failed: why });
    };
    asking.on('error', (error) => done(response === undefined ? error.message : undefined));
    asking.on('response', (answer) => {
      response = answer;
      if (answer.statusCode !== 200) {
        done(`it answers ${answer.statusCode}`);
        return;
      }
      answer.on('error', () => undefined);
      answer.on('data', () => {
        pieces++;
        if (pieces === 3) done();
      });
      answer.on('end', () => done());
    });
    asking.end();
  });
}

/** Why there is no WebSocket; undefined where there is one. */
function upgrade(url: URL, signal: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    };
    const asking = ask(url, { headers, signal });
    const timer = setTimeout(() => done('no answer in time'), PATIENCE);
    const done = (why: string | undefined): void => {
      clearTimeout(timer);
      asking.destroy();
      resolve(why);
    };
    asking.on('error', (error) => done(error.message));
    asking.on('upgrade', (_response, socket) => {
      socket.destroy();
      done(undefined);
    });
    asking.on('response', ({ statusCode }) => done(`it answers ${statusCode}`));
    asking.end();
  });
}

function ask(
  url: URL,
  options: { readonly headers: { readonly [name: string]: string }; readonly signal: AbortSignal },
) {
  return (url.protocol === 'https:' ? secureRequest : plainRequest)(url, { ...options, agent: false });
}
