/** How messages look in a response that goes on: an event stream for browsers, or plain lines for curl. */
import { CLOSE, type Ending, eventOf, type Message } from '../message.ts';
import { type MessageOrigin, type Notice, noticeText } from './client.ts';

/** How messages look in the response. */
export interface ResponseForm {
  readonly contentType: string;
  /** What comes first. */
  opening(): Buffer;
  message(message: Message, origin: MessageOrigin): Buffer;
  notice(notice: Notice): Buffer;
  ending(ending: Ending): Buffer;
  /** What shows that the connection lives, and that the next comes in `due` milliseconds; where there is something that the reader overlooks. */
  readonly ping: ((due: number | undefined) => Buffer) | undefined;
}

const NOTHING = Buffer.alloc(0);

/**
 * Comments of 2 KiB: virus scanners and some proxies hold the first bytes back until about so many have come, and old browsers
 * show a script nothing before. In short lines, because small devices read with small buffers.
 */
const PADDING = `:${' '.repeat(62)}\n`.repeat(32);
const OPENING = Buffer.from(`${PADDING}retry: 2000\n\n`);
/** The id of the last event of a stream that is over for good. */
export const ENDED_ID = 'end';

/**
 * An event stream (HTML standard, section 9.2). Binary data are base64, which the first event says; a message that is binary where the others are
 * text is an event "binary".
 * @param pingInterval milliseconds, told to the client so that it can find out that the line is dead
 */
export function eventStream(binary: boolean, pingInterval: number): ResponseForm {
  const about = { ping: pingInterval, ...(binary ? { encoding: 'base64' } : {}) };
  return {
    contentType: 'text/event-stream',
    opening: () => OPENING,
    message: (message, origin) => {
      if (origin === 'stderr') return eventOf('stderr', message.data.toString(), '');
      return message.binary && !binary ? binaryEvent(message) : message.event;
    },
    // The id of the first one makes a browser's EventSource resume from there, though no message has come yet.
    notice: (notice) => eventOf(notice.kind, noticeText(notice, about), notice.kind === 'joined' ? notice.id : ''),
    // A browser comes again by itself after any end. With this id it is told not to, unless coming again makes sense.
    ending: (ending) => {
      const { code, reason } = ending;
      return eventOf('end', JSON.stringify({ code, reason }), isForGood(ending) ? ENDED_ID : '');
    },
    // An event and not a comment, so that a page can see that the line lives.
    ping: (due = pingInterval) => eventOf('ping', String(due), ''),
  };
}

/** The program has ended: not a server that restarts, nor a client that was too slow, or idle. */
function isForGood({ code, again = false }: Ending): boolean {
  return !again && (code === CLOSE.normal || code === CLOSE.internalError);
}

function binaryEvent({ data, id }: Message): Buffer {
  return eventOf('binary', data.toString('base64'), id);
}

/** What `curl -N` shows: a line a message, or the bytes as they are. */
export function plainStream(binary: boolean): ResponseForm {
  return {
    contentType: binary ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    opening: () => NOTHING,
    message: (message, origin) =>
      binary || origin === 'stderr'
        ? origin === 'stderr'
          ? NOTHING
          : message.data
        : Buffer.concat([message.payload, Buffer.from('\n')]),
    notice: () => NOTHING,
    ending: () => NOTHING,
    ping: undefined,
  };
}
