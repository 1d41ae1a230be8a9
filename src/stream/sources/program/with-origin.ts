/**
 * `stderr = "json"`: each line of a program, of stdout and of stderr, is a message that says which of the two it is from:
 *
 *   {"stream":"stdout","data":"hello"}   {"stream":"stderr","data":"no such file"}
 */
import type { Ending } from '../../message.ts';
import type { SourceEvents } from '../source.ts';

export class WithOrigin implements SourceEvents {
  constructor(private readonly events: SourceEvents) {}

  messages(batch: readonly Buffer[]): void {
    this.events.messages(batch.map((line) => withOrigin('stdout', line)));
  }

  stderr(line: Buffer): void {
    this.events.messages([withOrigin('stderr', line)]);
  }

  drain(): void {
    this.events.drain();
  }

  ended(ending: Ending): void {
    this.events.ended(ending);
  }
}

/** What is not UTF-8 in `line` is replaced. */
export function withOrigin(stream: 'stdout' | 'stderr', line: Buffer): Buffer {
  return Buffer.from(JSON.stringify({ stream, data: line.toString() }));
}
