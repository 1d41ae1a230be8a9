/**
 * The table of the kinds of sources. A new kind is a folder of its own and a line here; its keys are a line in `../keys.ts`, because the
 * types of a configuration come out of that.
 */
import type { StreamConfig } from '../keys.ts';
import { connectKind } from './connect/kind.ts';
import { folderKind } from './folder/kind.ts';
import type { SourceKind } from './kind.ts';
import { pollKind } from './poll/kind.ts';
import { commandKind } from './program/kind.ts';
import { publishKind } from './publish/kind.ts';
import { subscribeKind } from './subscribe/kind.ts';

export const SOURCE_KINDS: readonly SourceKind[] = [
  commandKind,
  folderKind,
  pollKind,
  connectKind,
  subscribeKind,
  publishKind,
];

/** Throws a `TypeError` for a stream that has none, which reading the configuration does not let through. */
export function sourceKindOf(config: StreamConfig): SourceKind {
  const kind = SOURCE_KINDS.find(({ name }) => config[name] !== undefined);
  if (kind === undefined) throw new TypeError('a stream without a source');
  return kind;
}
