/** A viewer that reads `multipart/x-mixed-replace` as strict readers do: by the length of each part, and the boundary right behind it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';

export interface ReadPart {
  readonly type: string;
  readonly data: Buffer;
}

export class PartsViewer {
  private buffered = Buffer.alloc(0);
  private isBegun = false;
  private wake: () => void = () => undefined;
  over = false;

  private constructor(private readonly response: IncomingMessage) {
    response.on('data', (chunk: Buffer) => {
      this.buffered = Buffer.concat([this.buffered, chunk]);
      this.wake();
    });
    response.on('close', () => {
      this.over = true;
      this.wake();
    });
    response.on('error', () => undefined);
  }

  static async open(port: number, path: string, headers: OutgoingHttpHeaders = {}): Promise<PartsViewer> {
    const asked = request({ host: '127.0.0.1', port, path, headers, agent: false });
    asked.on('error', () => undefined);
    asked.end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 200);
    return new PartsViewer(response);
  }

  get type(): string {
    return this.response.headers['content-type'] ?? '';
  }

  private get boundary(): string {
    return `--${/boundary=(\S+)$/.exec(this.type)?.[1]}\r\n`;
  }

  /** The next part, with the boundary behind it. */
  async next(): Promise<ReadPart> {
    if (!this.isBegun) assert.equal((await this.take(this.boundary.length)).toString(), this.boundary);
    this.isBegun = true;
    while (!this.buffered.includes('\r\n\r\n')) await this.more();
    const head = (await this.take(this.buffered.indexOf('\r\n\r\n') + 4)).toString();
    const [, type = '', length = ''] =
      /^Content-Type: (.*)\r\nContent-Length: (\d+)\r\n\r\n$/.exec(head) ?? assert.fail(head);
    const data = await this.take(Number(length));
    const behind = await this.take(this.boundary.length + 2);
    assert.equal(behind.toString(), `\r\n${this.boundary}`);
    return { type, data };
  }

  pause(): void {
    this.response.pause();
  }

  resume(): void {
    this.response.resume();
  }

  close(): void {
    this.response.destroy();
  }

  private async take(count: number): Promise<Buffer> {
    while (this.buffered.length < count) await this.more();
    const taken = this.buffered.subarray(0, count);
    this.buffered = this.buffered.subarray(count);
    return taken;
  }

  private more(): Promise<void> {
    assert.ok(!this.over, 'the response is over');
    return new Promise((resolve) => {
      this.wake = resolve;
    });
  }
}
