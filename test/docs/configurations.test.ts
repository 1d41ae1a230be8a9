/** Every configuration on a page for users is one that the gateway takes, without a warning. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folderWith } from '../support/gateway.ts';
import { type Block, readPages } from './pages.ts';
import { checkText } from './stand-ins.ts';

const pages = readPages();

const name = ({ page, line }: Block): string => `${page}:${line}`;

test('there are configurations to look at', () => {
  const blocks = pages.flatMap((page) => page.blocks.filter(({ language }) => language === 'toml'));
  assert.ok(blocks.length >= 50, `${blocks.length} blocks of TOML`);
  assert.deepEqual(
    blocks.filter(({ shown }) => shown !== undefined).map(name),
    [],
    'no configuration needs an exception',
  );
});

for (const page of pages) {
  const blocks = page.blocks.filter(({ language }) => language === 'toml');
  if (blocks.length > 0)
    test(`the configurations of ${page.path}`, (t) => {
      const found = blocks.map((block) => {
        const said = checkText(block.text, folderWith(t, {}));
        if (block.warns !== undefined)
          return said.includes(block.warns) ? '' : `${name(block)}: no warning of ${block.warns}`;
        return said === '' ? '' : `${name(block)}\n${said}`;
      });
      assert.equal(found.filter((text) => text !== '').join('\n'), '');
    });
}
