/** Routes that serve less than was likely meant: the gateway starts, and says so. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { formatProblem } from '../../../src/config/reading/problems.ts';
import { parseConfig } from '../../../src/gateway/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'runnel-doubts-'));
after(() => rmSync(folder, { recursive: true }));
for (const name of ['www/ä b', 'www/own', 'www/.own', 'cgi/sub']) mkdirSync(join(folder, name), { recursive: true });
for (const name of [
  'www/index.html',
  'www/data.json',
  'www/ä b/x',
  'cgi/status.cgi',
  'cgi/sub/deep.cgi',
  'cgi/index.cgi',
])
  writeFileSync(join(folder, name), '');
writeFileSync(join(folder, 'tokens'), `lamp:${'0'.repeat(64)}\n`);

const FILES = '[static."/"]\nroot = "www"\n';
const CGI = '[cgi."/cgi-bin/"]\nroot = "cgi"\nindex = ["index.cgi"]\n';
const AUTH = 'auth = { tokens = "tokens" }\n';
const own = (key: string, root = 'www/own'): string => `[static."${key}"]\nroot = "${root}"\n${AUTH}`;
const poll = (path: string, key = '/live'): string => `[stream."${key}"]\npoll = "${path}"\n`;

const CASES: readonly (readonly [what: string, config: string, doubt: string | undefined])[] = [
  ['a path', FILES, undefined],
  ['a host with a dot', '[static."board.local/"]\nroot = "www"\n', undefined],
  ['localhost', '[static."localhost/"]\nroot = "www"\n', undefined],
  [
    'a path without its first slash',
    '[static."www/"]\nroot = "www"\n',
    'c:1:1: static."www/": only requests for the host "www" use this route; for a path of every host write static."/www/"',
  ],
  [
    'the same of a stream',
    '[stream."live/x"]\ncommand = ["cat"]\n',
    'c:1:1: stream."live/x": only requests for the host "live" use this route; for a path of every host write stream."/live/x"',
  ],
  [
    'a folder without its last slash',
    '[static."/docs"]\nroot = "www"\n',
    'c:1:1: static."/docs": only the index of root is served, at this one path; to serve the paths below it too, write static."/docs/"',
  ],
  ['compressed files behind a login', own('/own/').replace('auth', 'compress = true\nauth'), undefined],
  [
    'compressed pages of programs behind a login',
    `${CGI}compress = true\n${AUTH}`,
    'c:4:1: cgi."/cgi-bin/".compress: the responses are for somebody who has signed in; if they repeat something of the request beside a secret, their length can betray it (BREACH, docs/security.md)',
  ],
  [
    'compressed messages behind a login',
    `[stream."/s"]\ncommand = ["cat"]\ncompress = true\n${AUTH}`,
    'c:3:1: stream."/s".compress: the messages are for somebody who has signed in; if they repeat something of what a client sends beside a secret, their length can betray it (BREACH, docs/security.md)',
  ],
  ['one program at one path', '[cgi."/x"]\ncommand = ["cat"]\n', undefined],
  ['a program that is there', CGI + poll('/cgi-bin/status.cgi?a=b'), undefined],
  ['with more behind it', CGI + poll('/cgi-bin/status.cgi/more'), undefined],
  ['deeper', CGI + poll('/cgi-bin/sub/deep.cgi'), undefined],
  ['the index of a folder', CGI + poll('/cgi-bin/'), undefined],
  [
    'one that is not there',
    CGI + poll('/cgi-bin/stats.cgi'),
    'c:5:1: stream."/live".poll: "/cgi-bin/stats.cgi" is served by cgi."/cgi-bin/", which has no such program below its root',
  ],
  ['a file', FILES + poll('/data.json'), undefined],
  ['a file with escapes', FILES + poll('/%C3%A4%20b/x'), undefined],
  ['the index', FILES + poll('/'), undefined],
  [
    'a program without its route',
    FILES + poll('/cgi-bin/status.cgi'),
    'c:4:1: stream."/live".poll: "/cgi-bin/status.cgi" is served by static."/", which has no such file below its root; a route of its own, such as [cgi."/cgi-bin/"], may be missing',
  ],
  ['a fallback serves everything', `${FILES}fallback = "index.html"\n${poll('/any/thing')}`, undefined],
  [
    'a polled route that asks for a password',
    CGI + AUTH + poll('/cgi-bin/status.cgi'),
    'c:6:1: stream."/live".poll: every client of this stream sees what cgi."/cgi-bin/" shows only after a login; set auth for this stream too',
  ],
  ['where the stream asks, too', CGI + AUTH + poll('/cgi-bin/status.cgi') + AUTH, undefined],
  ['where all do', `[defaults.auth]\ntokens = "tokens"\n${CGI}${poll('/cgi-bin/status.cgi')}`, undefined],
  [
    'where all do but the stream',
    `[defaults.auth]\ntokens = "tokens"\n${CGI}${poll('/cgi-bin/status.cgi')}auth = { require = "none" }\n`,
    'c:7:1: stream."/live".poll: every client of this stream sees what cgi."/cgi-bin/" shows only after a login; set auth for this stream too',
  ],
  ['a folder of its own for some', FILES + own('/own/'), undefined],
  ['the same under another spelling of the root', FILES + own('/own/', './www//own/.'), undefined],
  [
    'a folder for some that everybody gets under another path',
    FILES + own('/private/'),
    'c:3:1: static."/private/": static."/" serves the same folder without a login, at "/own/"; move the folder out of its root, or protect that path too',
  ],
  ['where that path is protected as well', FILES + own('/private/') + own('/own/'), undefined],
  ['which nobody gets, as its name begins with a dot', FILES + own('/private/', 'www/.own'), undefined],
  ['which is elsewhere', FILES + own('/private/', 'cgi'), undefined],
  [
    'a folder for some on one host',
    FILES + own('board.local/own/'),
    'c:3:1: static."board.local/own/": static."/" serves the same folder without a login, at "/own/" of other hosts; move the folder out of its root, or protect that path too',
  ],
  [
    'programs for some whose text everybody gets',
    `[static."/"]\nroot = "."\n${CGI}${AUTH}`,
    'c:3:1: cgi."/cgi-bin/": static."/" serves the same folder without a login, at "/cgi/"; move the folder out of its root, or protect that path too',
  ],
];

describe('routes', () => {
  for (const [what, config, doubt] of CASES)
    test(what, () => {
      const result = parseConfig(Buffer.from(config), 'c', { directory: folder });
      assert(result.ok, result.ok ? '' : result.problems.map(formatProblem).join());
      assert.deepEqual(result.doubts.map(formatProblem), doubt === undefined ? [] : [doubt]);
    });
});
