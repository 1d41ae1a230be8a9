/** Takes a body as an engine would, at a chosen pace. */
import type { BodySource, Reply } from '../../src/engine/engine.ts';

export type Pace = 'fast' | 'slow' | 'resumes at once';

/** All bytes of a source. Rejects with what the source fails with. */
export function collect(source: BodySource, pace: Pace = 'fast'): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    const write = (chunk: Uint8Array): boolean => {
      chunks.push(chunk);
      if (pace === 'fast') return true;
      if (pace === 'slow') setTimeout(() => source.resume(), 1);
      else source.resume();
      return false;
    };
    source.start({
      write,
      lend: (chunk) => write(Buffer.from(chunk)),
      end: () => resolve(Buffer.concat(chunks)),
      fail: reject,
    });
  });
}

/** The bytes of a reply. */
export async function bodyOf(reply: Reply): Promise<Buffer> {
  const { body } = reply;
  if (body === undefined) return Buffer.alloc(0);
  if (typeof body === 'string') return Buffer.from(body);
  return body instanceof Uint8Array ? Buffer.from(body) : collect(body);
}
