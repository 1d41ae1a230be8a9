/** `root`: for each client the program that its path names. */
import { Scripts } from '../../../programs/scripts.ts';
import { usualHistory, usualReplay } from '../../plan.ts';
import type { SourceKind } from '../kind.ts';
import { privatePrograms } from '../program/kind.ts';
import { folderChecks } from './checks.ts';

/** No name stands for its folder. */
const NO_INDEX: readonly string[] = [];

export const folderKind: SourceKind = {
  name: 'root',
  checks: folderChecks,
  usualShare: 'client',
  overrun: 'you send faster than the program reads',
  usualReplay,
  usualHistory,
  private(parts) {
    const { root } = parts.config;
    if (root === undefined) throw new TypeError(`stream "${parts.key}" has no root`);
    const scripts = new Scripts(root, parts.key, NO_INDEX);
    return privatePrograms(parts, async ({ rest }) => {
      const script = await scripts.find(rest);
      if (script === undefined) throw new TypeError('a folder without an index has stood for a program');
      return { script, argv: [script.file] };
    });
  },
};
