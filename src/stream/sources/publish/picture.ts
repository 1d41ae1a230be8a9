/** In a stream of pictures a message that is published is one whole picture: viewers are told that it is one. */
import type { Framing } from '../../framing.ts';

export const NO_PICTURE = 'a message of this stream is one whole JPEG picture, and this is none';

/**
 * The picture in a message, without what lies around it; undefined where there is none, or more than one.
 *
 * @param max bytes
 */
export function pictureIn(message: Buffer, framing: Framing, max: number): Buffer | undefined {
  const [picture, second] = framing.decoder(max).push(message);
  return second === undefined ? picture : undefined;
}
