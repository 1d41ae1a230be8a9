import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentType } from '../../src/files/types.ts';

test('types by extension', () => {
  const cases = {
    'index.html': 'text/html; charset=utf-8',
    'INDEX.HTML': 'text/html; charset=utf-8',
    'app.min.js': 'text/javascript; charset=utf-8',
    'app.js.map': 'application/json',
    'x.svg': 'image/svg+xml; charset=utf-8',
    'x.wasm': 'application/wasm',
    'x.woff2': 'font/woff2',
    'x.mp4': 'video/mp4',
    'x.tar.gz': 'application/gzip',
    Makefile: 'application/octet-stream',
    'x.': 'application/octet-stream',
    'x.constructor': 'application/octet-stream',
    'x.__proto__': 'application/octet-stream',
    'shell.cgi': 'application/octet-stream',
  };
  for (const [name, type] of Object.entries(cases)) assert.equal(contentType(name), type, name);
});
