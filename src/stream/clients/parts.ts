/**
 * `multipart/x-mixed-replace`: a response that shows one message after the other, as an `<img>` shows the pictures of a camera. Each client goes at
 * its own pace: what it is being given is finished, and then comes the newest.
 */
import { randomBytes } from 'node:crypto';
import type { BodySink } from '../../engine/engine.ts';
import type { Ending, Message } from '../message.ts';
import type { MessageOrigin } from './client.ts';
import type { LiveBody, LiveResponse, ResponseEvents } from './response.ts';

/**
 * Chromium shows a picture when the head of the one behind it has come, so the last of all would not be shown before there is another. Where none
 * follows for so long it is sent again. Milliseconds.
 */
const SHOWN_AFTER = 500;

/** The parts of one stream: all its clients get the same bytes. */
export class PartsForm {
  /** Nobody who sends pictures through here can know it, and end a part before its end. */
  private readonly boundary = `runnel-${randomBytes(12).toString('hex')}`;
  readonly opening = Buffer.from(`--${this.boundary}\r\n`);
  private readonly contentType = `multipart/x-mixed-replace; boundary=${this.boundary}`;
  /** The part that was made last, as long as somebody is there who may get it. */
  private made: { readonly message: Message; readonly part: Buffer } | undefined;
  private clients = 0;

  /** @param repeats whether the last picture is sent again where none follows */
  response(repeats: boolean): LiveResponse {
    return {
      contentType: this.contentType,
      pingsEarly: false,
      body: (events) => new PartsBody(this, repeats, events),
    };
  }

  joined(): void {
    this.clients++;
  }

  left(): void {
    if (--this.clients === 0) this.made = undefined;
  }

  /** The boundary comes behind each part at once: readers that go by it need not wait for the next one. */
  part(message: Message): Buffer {
    if (this.made?.message === message) return this.made.part;
    const { data, type } = message;
    const head = Buffer.from(`Content-Type: ${type}\r\nContent-Length: ${data.length}\r\n\r\n`);
    const end = Buffer.from(`\r\n--${this.boundary}\r\n`);
    const part = Buffer.concat([head, data, end]);
    this.made = { message, part };
    return part;
  }
}

class PartsBody implements LiveBody {
  readonly transport = 'parts';
  /** It never sends. */
  readonly heldBack = false;
  readonly length = undefined;
  private sink: BodySink | undefined;
  /** Of one batch, while the client does not take more. */
  private waiting: Message[] = [];
  private blocked = false;
  private behind = false;
  /** What was sent last. */
  private shown: Message | undefined;
  private repeat: NodeJS.Timeout | undefined;
  private isRepeated = false;
  private ending: Ending | undefined;
  private over = false;

  constructor(
    private readonly form: PartsForm,
    private readonly repeats: boolean,
    private readonly events: ResponseEvents,
  ) {}

  // ---- the client, for the channel ----

  get bufferedAmount(): number {
    let bytes = 0;
    for (const { data } of this.waiting) bytes += data.length;
    return bytes;
  }

  deliver(batch: readonly Message[], origin: MessageOrigin): boolean {
    this.events.delivered();
    if (origin === 'stderr' || this.over || this.ending !== undefined) return !this.blocked;
    this.waiting.push(...batch);
    this.flush();
    this.behind = this.blocked;
    return !this.blocked;
  }

  spoke(): void {
    this.events.delivered();
  }

  /** There is no place for words. */
  notice(): void {}

  /** The picture again: proxies close what is silent, and whoever has vanished is found out. */
  ping(): void {
    if (this.blocked || this.over) return;
    this.events.alive();
    if (this.shown !== undefined && this.ending === undefined) this.write(this.shown);
  }

  close(ending: Ending): void {
    if (this.ending !== undefined || this.over) return;
    this.ending = ending;
    this.flush();
  }

  terminate(): void {
    if (this.over) return;
    this.finish(1006);
    this.sink?.fail(new Error('the client was dropped'));
  }

  pause(): boolean {
    return false;
  }

  resume(): void {
    // Called by the engine: the client takes bytes again.
    this.blocked = false;
    this.events.alive();
    this.flush();
    if (!this.behind || this.blocked || this.over) return;
    this.behind = false;
    this.events.drain();
  }

  // ---- the body, for the engine ----

  start(sink: BodySink): void {
    this.sink = sink;
    this.form.joined();
    this.blocked = !sink.write(this.form.opening);
    this.flush();
  }

  cancel(): void {
    this.finish(1006);
  }

  private flush(): void {
    const { sink } = this;
    if (sink === undefined || this.over) return;
    while (!this.blocked && !this.over) {
      const message = this.waiting.shift();
      if (message === undefined) break;
      this.write(message);
      this.isRepeated = false;
      if (this.repeats) this.repeatSoon();
    }
    if (this.ending === undefined || this.blocked || this.over) return;
    const { code } = this.ending;
    this.finish(code);
    sink.end();
  }

  private write(message: Message): void {
    this.shown = message;
    this.blocked = this.sink?.write(this.form.part(message)) === false;
  }

  private repeatSoon(): void {
    if (this.repeat !== undefined) this.repeat.refresh();
    else
      this.repeat = setTimeout(() => {
        if (this.isRepeated) return;
        this.isRepeated = true;
        this.ping();
      }, SHOWN_AFTER);
  }

  private finish(code: number): void {
    if (this.over) return;
    this.over = true;
    this.waiting = [];
    this.shown = undefined;
    clearTimeout(this.repeat);
    if (this.sink !== undefined) this.form.left();
    this.events.left(code);
  }
}
