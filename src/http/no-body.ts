/** The body of an answer to HEAD: its length is told, its bytes are nobody's business (RFC 9110 section 9.3.2). */
import type { BodySink, BodySource } from '../engine/engine.ts';

export class NoBody implements BodySource {
  /** @param length What a GET would have got; undefined when that is not known beforehand. */
  constructor(readonly length: number | undefined) {}

  start(sink: BodySink): void {
    sink.fail(new Error('the answer to HEAD has no body'));
  }

  resume(): void {}

  cancel(): void {}
}
