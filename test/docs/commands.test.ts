/** The commands of every page do what the page says: they are typed one after the other, by a reader who saves its files on the way. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { fakePicture } from '../support/cameras.ts';
import { Authority } from '../support/certificates.ts';
import { type Block, commandsOf, type Page, readPages } from './pages.ts';
import { type Machine, Terminal } from './terminal.ts';

const pages = readPages();

/** What a reader has that is on no page. */
const TOKEN = 'a-token-of-a-test-0123456789';
const TOKENS = `kitchen:${createHash('sha256').update(TOKEN).digest('hex')}\n`;
const PASSWORDS = 'ann:$2b$04$Q58lVHC/IAjnIvmtZTfyLezKwPWZVeDySo4ZMzQwTN9yVcAdHHbAe\n';
const MACHINES: { readonly [page: string]: Machine } = {
  'docs/connect.md': {
    hosts: ['board.lan'],
    files: { 'archive.sh': '#!/bin/sh\nhead -n 1\n', 'cert.pem': new Authority().certificate },
    routes: `
[stream."/live/sensors"]
command = ["vmstat", "-n", "1"]
share = "all"
[stream."/sort"]
command = ["sort"]
eof_message = "EOF"
[stream."/mqtt"]
connect = "tcp://127.0.0.1:9180"
framing = "raw"
subprotocols = ["mqtt"]
`,
  },
  'docs/from-websocketd.md': {
    files: { 'count.sh': '#!/bin/sh\nseq 10\n', 'www/index.html': '<p>of the test\n' },
  },
  'docs/publish.md': {
    hosts: ['gateway'],
    env: { TOKEN },
    files: { family: PASSWORDS, writers: TOKENS, 'values.json': '{}\n' },
    routes: blocksOf('docs/publish.md', 'toml').join('\n').replace('auth = { basic = "family" } ', ''),
  },
  'docs/run.md': { files: { users: PASSWORDS, 'upgrade.sh': '#!/bin/sh\n', 'Pictures/one.jpg': fakePicture(1, 2000) } },
  'docs/sources.md': {
    hosts: ['board'],
    env: { TOKEN },
    files: { 'notes.tokens': TOKENS },
    routes: blocksOf('docs/sources.md', 'toml').find((text) => text.includes('[stream."/notes"]')) ?? '',
  },
  'docs/static.md': { files: { 'www/index.html': `<p>${'of the test '.repeat(200)}` } },
  'docs/tasks/camera.md': { files: { 'test.jpg': fakePicture(1, 20_000) } },
};

function blocksOf(page: string, language: string): readonly string[] {
  return (pages.find(({ path }) => path === page)?.blocks ?? [])
    .filter((block) => block.language === language)
    .map(({ text }) => text);
}

/** Exceptions are to stay few: most of them no test runs. Those of docs/systemd.md are run by test/deploy/unit-by-hand.test.ts. */
const MOST_SHOWN = 33;

/** Their commands build this project from its sources, which a test cannot do again. What they say to runnel is checked. */
const BUILT = ['README.md', 'CONTRIBUTING.md'];

const isCommands = ({ language, file, text }: Block): boolean =>
  language === 'sh' && file === undefined && !text.startsWith('#!');
const isRun = (block: Block): boolean => isCommands(block) && block.shown === undefined && !BUILT.includes(block.page);

async function follow(page: Page, terminal: Terminal): Promise<void> {
  for (const block of page.blocks)
    if (block.file !== undefined) terminal.save(block.file, block.text);
    else if (isRun(block)) for (const command of commandsOf(block.text)) await terminal.type(command);
}

describe('the commands of every page', { concurrency: 2 }, () => {
  for (const page of pages)
    if (page.blocks.some(isRun))
      test(page.path, async (t) => await follow(page, await Terminal.open(t, MACHINES[page.path] ?? {})));
});

test('few commands are only shown, each with its reason', () => {
  const shown = pages.flatMap(({ blocks }) => blocks.filter((block) => isCommands(block) && block.shown !== undefined));
  assert.deepEqual(
    shown
      .filter(({ shown: reason = '' }) => reason.trim().split(' ').length < 2)
      .map(({ page, line }) => `${page}:${line}`),
    [],
    'shown="…" has to say why',
  );
  assert.ok(shown.length <= MOST_SHOWN, `${shown.length} blocks are only shown: run them, or raise MOST_SHOWN`);
});
