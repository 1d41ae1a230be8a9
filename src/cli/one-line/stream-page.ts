/** The page that shows one stream in a browser: `runnel run` serves it, and `runnel websocketd --devconsole`. */
import { type HeaderList, headerValue } from '../../engine/engine.ts';
import { picturePage } from '../../handlers/own/picture-page.ts';
import { asScript, pagePolicy, withoutComments } from '../../handlers/status/script-page.ts';
import type { Handler } from '../../http/handler.ts';
import { escapeHtml } from '../../http/page.ts';
import type { Assets } from '../../ops/assets.ts';
import { wantsPicture } from '../../stream/clients/transport.ts';

export interface PageFacts {
  /** Whether all viewers see the same run of the program. */
  readonly shared: boolean;
  /** Whether what a viewer types goes to the program. */
  readonly input: boolean;
  /** Whether the program sends each line when it prints it: then silence is not for want of --unbuffer. */
  readonly unbuffered: boolean;
}

export interface StreamPage {
  readonly headers: HeaderList;
  html(title: string): string;
}

/** The page's modules, each behind those that it imports: they become one script. */
const SCRIPTS = ['terminal', 'kinds', 'chart', 'lines', 'views', 'page'] as const;

/** client.js goes into the page: below a prefix that nobody here knows, and at any path, it needs no address. */
export function streamPage(assets: Assets, facts: PageFacts): StreamPage {
  const asset = (name: string): string => withoutComments(assets.read(`browser/${name}`).toString());
  const script = SCRIPTS.map((name) => asScript(asset(`run/${name}.js`))).join('');
  const html = asset('run/page.html')
    .replace('/*{{style}}*/', () => asset('run/page.css'))
    .replace('/*{{feed}}*/', () => asset('client.js') + asset('run/feed.js'))
    .replace('/*{{script}}*/', () => `'use strict';\n${script}`)
    .replace('{{facts}}', () => escapeHtml(JSON.stringify(facts)));
  return pageOf(html);
}

/** The same for a stream of pictures. */
export function pictureStreamPage(assets: Assets): StreamPage {
  return pageOf(picturePage(assets, 'here', withoutComments));
}

function pageOf(html: string): StreamPage {
  return {
    headers: [
      ['content-type', 'text/html; charset=utf-8'],
      ['cache-control', 'no-cache'],
      ['content-security-policy', pagePolicy(html, '; worker-src blob:')],
      ['referrer-policy', 'no-referrer'],
      ['x-content-type-options', 'nosniff'],
    ],
    html: (title) => html.replaceAll('{{title}}', () => escapeHtml(title)),
  };
}

/** Browsers get the page, everybody else the stream, both at the same address. */
export function pageBefore(stream: Handler, page: StreamPage, title: string): Handler {
  const body = page.html(title);
  return {
    kind: stream.kind,
    methods: stream.methods,
    takesBody: stream.takesBody,
    takesMessages: stream.takesMessages ?? false,
    // What a link leads to is open all the same.
    crossSite: 'same-origin',
    pacesItself: true,
    begin: () => stream.begin?.(),
    retire: (reason) => stream.retire(reason),
    close: () => stream.close(),
    handle(call) {
      const { method, headers, query } = call.request;
      const wantsPage =
        call.handshake === undefined &&
        method !== 'POST' &&
        !/(^|&)transport=(poll|history|last|parts)(&|$)/.test(query ?? '') &&
        !wantsPicture(headers) &&
        (headerValue(headers, 'accept') ?? '*/*').includes('*/*');
      return wantsPage ? { status: 200, headers: page.headers, body } : stream.handle(call);
    },
  };
}
