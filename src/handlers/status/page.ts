/** The status page: one document, with everything in it. */
import type { HeaderList } from '../../engine/engine.ts';
import type { Assets } from '../../ops/assets.ts';
import { asScript, pagePolicy, withoutComments } from './script-page.ts';

export interface StatusPage {
  readonly headers: HeaderList;
  readonly html: string;
}

/** Its modules, each behind those that it imports: they become one script. */
const SCRIPTS = ['words', 'addresses', 'chart', 'tables', 'console', 'page'] as const;

export function statusPage(assets: Assets): StatusPage {
  const asset = (name: string): string => withoutComments(assets.read(`browser/status/${name}`).toString());
  const script = SCRIPTS.map((name) => asScript(asset(`${name}.js`))).join('');
  const html = asset('page.html')
    .replace('/*{{style}}*/', () => asset('page.css'))
    .replace('/*{{script}}*/', () => `'use strict';\n${script}`);
  return {
    headers: [
      ['content-type', 'text/html; charset=utf-8'],
      ['cache-control', 'no-cache'],
      ['content-security-policy', pagePolicy(html, "; frame-ancestors 'none'")],
      ['referrer-policy', 'same-origin'],
      ['x-content-type-options', 'nosniff'],
    ],
    html,
  };
}
