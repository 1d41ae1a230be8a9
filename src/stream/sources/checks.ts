/** What a kind of source says to the checks of a configuration: which keys of a stream go with it. */
import type { RawRoute, ReadRoute } from '../../config/route-schema.ts';
import type { RawTable } from '../../config/values/tables.ts';
import type { Reading } from '../../config/values/value.ts';
import type { Router } from '../../routing/router.ts';
import type { StreamConfig } from '../keys.ts';

/** A stream whose source is clear, as the file has it. */
export interface RawStream {
  /** The name of its kind. */
  readonly source: string;
  /** What is written, or what that kind of source has otherwise. */
  readonly share: unknown;
  readonly table: RawTable;
}

/** A key that would have no effect is a mistake. */
export interface KeyRule {
  readonly keys: readonly string[];
  /** Only with this value; with any when left out. */
  readonly value?: string | boolean;
  applies(stream: RawStream): boolean;
  sentence(stream: RawStream): string;
}

/** What else is in the file. */
export interface CheckGround {
  readonly file: RawTable;
  readonly routes: Router<RawRoute>;
}

export interface SourceChecks {
  /** Why a key has no effect that needs clients who share a source. */
  readonly unshared: string;
  /** Asked for every stream whose source is clear, of this kind or not. */
  readonly rules: readonly KeyRule[];
  /** What rules cannot say. Asked for every stream; `stream` is undefined for one whose source is not clear. */
  check?(route: RawRoute, stream: RawStream | undefined, ground: CheckGround, reading: Reading): void;
  /** What is likely to be meant otherwise. */
  doubt?(key: string, config: StreamConfig, routes: Router<ReadRoute>, reading: Reading): void;
}

/** Where a stream may become one that its clients share. */
export const UNSHARED = 'needs a stream that its clients share: set share = "all"';
