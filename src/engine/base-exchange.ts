/** What is the same for an exchange of either engine: one answer and no more, who takes the body, who hears of an abort. */
import type { BodyReceiver, EngineEvents, Exchange, Handshake, Reply, Request, Upgrade } from './engine.ts';
import type { HeadFacts } from './heads.ts';
import type { OpenConnections } from './open-connections.ts';
import { type HeadRefusal, REFUSED_TOO_OFTEN } from './refusals.ts';
import { internalError, isSource, upgradeProblem } from './replies.ts';

/** What the exchanges of one listener share, in either engine. */
export interface ExchangeParts {
  readonly events: EngineEvents;
  readonly connections: OpenConnections;
}

/** A base class and not an object of its own: there is one exchange for each request, and it stays one object. */
export abstract class BaseExchange<Shared extends ExchangeParts> implements Exchange {
  abstract readonly handshake: Handshake | undefined;
  readonly hasBody: boolean;
  readonly contentLength: number | undefined;
  aborted = false;
  /** `open` until `reply` or `upgrade`; `over` when the answer is complete or nobody is there for it. */
  protected state: 'open' | 'answering' | 'over' = 'open';
  protected receiver: BodyReceiver | undefined;
  private abortListener: (() => void) | undefined;
  private inHandler = true;

  constructor(
    readonly request: Request,
    facts: HeadFacts,
    protected readonly shared: Shared,
  ) {
    this.hasBody = facts.hasBody;
    this.contentLength = facts.contentLength;
    shared.connections.began();
  }

  /** The connection can become a WebSocket. */
  protected abstract readonly canSwitch: boolean;
  /** There may be a body without a length, up to the end of what its client sends: only who takes it finds out. */
  protected get isOpenEnded(): boolean {
    return false;
  }
  /** The callback above has returned: now it is known whether somebody takes the body. */
  protected abstract handled(): void;
  /** Somebody takes the body, and there is one. */
  protected abstract bodyTaken(receiver: BodyReceiver): void;
  /** Writes the one answer. */
  protected abstract send(reply: Reply): void;
  /** Writes the 101 and hands over the WebSocket, or cancels the upgrade. */
  protected abstract switchTo(upgrade: Upgrade): void;
  /** The exchange cannot go on: the connection must go. */
  abstract broken(error: unknown): void;
  abstract endless(): void;
  abstract pauseBody(): void;
  abstract resumeBody(): void;

  onAborted(listener: () => void): void {
    this.abortListener = listener;
  }

  /** Hands the exchange up, or refuses the request. */
  handle(refusal: HeadRefusal | undefined): void {
    const { events } = this.shared;
    try {
      if (refusal === undefined) events.exchange(this);
      else {
        const answered = events.refused(refusal.reason, this.request.remoteAddress, this.request);
        this.reply(answered ? refusal.reply : REFUSED_TOO_OFTEN);
      }
    } catch (error) {
      events.failed(error);
      if (this.state === 'open') this.reply(internalError());
    }
    this.inHandler = false;
    this.handled();
  }

  receive(receiver: BodyReceiver): void {
    if (!this.inHandler) throw new Error('a body can be taken only before the callback returns');
    this.receiver = receiver;
    if (this.hasBody || this.isOpenEnded) this.bodyTaken(receiver);
    else queueMicrotask(() => this.guard(() => !this.aborted && receiver.end()));
  }

  reply(reply: Reply): void {
    if (this.state !== 'open') {
      if (isSource(reply.body)) reply.body.cancel();
      this.answeredTwice();
      return;
    }
    this.state = 'answering';
    this.send(reply);
  }

  upgrade(upgrade: Upgrade): void {
    if (this.state !== 'open') {
      upgrade.cancel();
      this.answeredTwice();
      return;
    }
    const offered = this.handshake?.protocols ?? [];
    const problem = this.canSwitch ? upgradeProblem(upgrade, offered) : 'there was no handshake';
    if (problem !== undefined) {
      upgrade.cancel();
      this.shared.events.failed(new Error(`a switch to WebSocket cannot be sent: ${problem}`));
      this.reply(internalError());
      return;
    }
    this.state = 'answering';
    this.switchTo(upgrade);
  }

  protected tellAborted(): void {
    this.guard(() => this.abortListener?.());
  }

  /** Nobody is told of an abort any more. */
  protected forgetAborted(): void {
    this.abortListener = undefined;
  }

  /** Runs what others have given us. */
  protected guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      if (this.state === 'open') this.broken(error);
      else this.shared.events.failed(error);
    }
  }

  private answeredTwice(): void {
    if (!this.aborted) this.shared.events.failed(new Error('a request was answered twice'));
  }
}
