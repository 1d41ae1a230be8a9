/** A source whose messages lie in bytes: a program or a connection. What both do with their framing. */
import type { Log } from '../../ops/log.ts';
import { PartialLine } from '../../process/partial-line.ts';
import type { Input } from '../../process/spawn.ts';
import type { DropReason, StreamCounts } from '../counts.ts';
import { type Decoder, type Framing, FramingError } from '../framing.ts';
import type { Losses } from '../jpeg.ts';
import { CLOSE, type Ending } from '../message.ts';
import { SourceInput } from './input.ts';
import type { SourceEvents, WritableSource } from './source.ts';

export interface FramingOptions {
  readonly framing: Framing;
  /** Bytes. */
  readonly maxMessage: number;
  /** Whether clients are told the beginning of a line before its end has come. */
  readonly partialLines?: boolean;
  /** Told what was left out of what the source says. */
  lost?(losses: Losses): void;
}

/** Counts what is left out of what the sources of one stream say; the first time of each kind is told in the log. */
export function lossCounter(counts: StreamCounts, log: Log): (losses: Losses) => void {
  const told = new Set<DropReason>();
  const count = (reason: DropReason, number: number, sentence: string): void => {
    if (number === 0) return;
    counts.drop(reason, number);
    if (told.has(reason)) return;
    told.add(reason);
    log.warn(sentence, { route: counts.route });
  };
  return ({ tooLarge, stray }) => {
    count('too_large', tooLarge, 'a picture is larger than max_message and was left out');
    count('not_a_picture', stray, 'data between the pictures is not a picture, or is damaged, and was left out');
  };
}

const NOTHING = Buffer.alloc(0);

export abstract class FramedSource implements WritableSource {
  /** It has ended, or is not needed any more. */
  protected over = false;
  private readonly decoder: Decoder;
  private readonly input: SourceInput | undefined;
  private readonly partialLine: PartialLine | undefined;

  /** @param input what it reads; undefined for one that reads nothing */
  constructor(
    private readonly framed: FramingOptions,
    protected readonly events: SourceEvents,
    input: Input | undefined,
  ) {
    const { framing, maxMessage, partialLines = false } = framed;
    this.decoder = framing.decoder(maxMessage, partialLines);
    if (partialLines)
      this.partialLine = new PartialLine(
        () => this.decoder.rest ?? NOTHING,
        (text) => {
          if (!this.over) events.partial?.(text, 'stdout');
        },
      );
    this.input = input === undefined ? undefined : new SourceInput(input, () => events.drain());
  }

  get waiting(): number {
    return this.input?.waiting ?? 0;
  }

  /** What comes after `endInput`, or after the other end has closed, is lost, as in any pipe. */
  write(message: Buffer): boolean {
    return this.input?.write(this.framed.framing.encode(message)) ?? true;
  }

  endInput(): void {
    this.input?.end();
  }

  abstract pause(): void;
  abstract resume(): void;
  abstract release(): void;

  /** Gives it at once everything that waits. */
  protected flush(): void {
    this.input?.flush();
  }

  /** @param chunk undefined at the end of what it says */
  protected decode(chunk: Buffer | undefined): void {
    if (this.over) return;
    try {
      const batch = chunk === undefined ? this.decoder.end() : this.decoder.push(chunk);
      if (batch.length > 0) this.events.messages(batch);
      const losses = this.decoder.takeLosses?.();
      if (losses !== undefined) this.framed.lost?.(losses);
      if (chunk === undefined) this.partialLine?.stop();
      else this.partialLine?.look(batch.length > 0);
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      this.finish({ code: CLOSE.internalError, reason: error.message });
    }
  }

  protected finish(ending: Ending): void {
    if (this.over) return;
    this.over = true;
    this.events.ended(ending);
  }
}
