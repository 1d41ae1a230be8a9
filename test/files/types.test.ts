import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentTypes, type TypeRules } from '../../src/files/types.ts';

function check(rules: Partial<TypeRules>, cases: { readonly [name: string]: string }): void {
  const contentType = contentTypes({ types: new Map(), charset: undefined, ...rules });
  for (const [name, type] of Object.entries(cases)) assert.equal(contentType(name), type, name);
}

test('types by extension, without a charset', () => {
  check(
    {},
    {
      'index.html': 'text/html',
      'INDEX.HTML': 'text/html',
      'folder.html/app.min.js': 'text/javascript',
      'app.js.map': 'application/json',
      'x.mjs': 'text/javascript',
      'x.svg': 'image/svg+xml',
      'x.xml': 'text/xml',
      'x.wasm': 'application/wasm',
      'site.webmanifest': 'application/manifest+json',
      'wifi.mobileconfig': 'application/x-apple-aspen-config',
      'proxy.pac': 'application/x-ns-proxy-autoconfig',
      'live.m3u8': 'application/vnd.apple.mpegurl',
      'x.3gp': 'video/3gpp',
      'x.wgt': 'application/widget',
      'x.woff2': 'font/woff2',
      'x.mp4': 'video/mp4',
      'x.tar.gz': 'application/gzip',
      'ca.crl': 'application/pkix-crl',
      'ca.p7b': 'application/x-pkcs7-certificates',
      Makefile: 'application/octet-stream',
      html: 'application/octet-stream',
      'folder.html/file': 'application/octet-stream',
      'x.': 'application/octet-stream',
      'x.constructor': 'application/octet-stream',
      'x.__proto__': 'application/octet-stream',
      'shell.cgi': 'application/octet-stream',
    },
  );
});

test('a charset is for text, but for text that says it by itself', () => {
  check(
    { charset: 'windows-1251', types: new Map([['.asp', 'text/html; Charset=koi8-r']]) },
    {
      'index.html': 'text/html; charset=windows-1251',
      'x.txt': 'text/plain; charset=windows-1251',
      'x.js': 'text/javascript; charset=windows-1251',
      'x.css': 'text/css; charset=windows-1251',
      'x.asp': 'text/html; Charset=koi8-r',
      'x.xml': 'text/xml',
      'x.svg': 'image/svg+xml',
      'x.json': 'application/json',
      'x.vtt': 'text/vtt',
      'x.appcache': 'text/cache-manifest',
      'x.png': 'image/png',
      x: 'application/octet-stream',
    },
  );
});

test('types of the route: the longest end of a name counts', () => {
  const types = new Map([
    ['.gz', 'application/x-one'],
    ['.tar.gz', 'application/x-two'],
    ['.html', 'text/x-mine'],
  ]);
  check(
    { types, charset: 'utf-8' },
    {
      'x.gz': 'application/x-one',
      'x.TAR.GZ': 'application/x-two',
      'x.html': 'text/x-mine; charset=utf-8',
      'x.htm': 'text/html; charset=utf-8',
      xgz: 'application/octet-stream',
    },
  );
  types.set('', 'text/plain');
  check({ types }, { 'x.gz': 'application/x-one', 'x.png': 'text/plain', README: 'text/plain' });
});
