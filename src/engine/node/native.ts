/** The WebSocket of `ws` with what it does not tell by itself: that the client has begun to close. */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/** Reasons of the codes that `ws` closes with by itself, where the code alone would not say it. */
const REASONS: { readonly [code: number]: string } = { 1009: 'message too big' };

/** A close frame without a code (RFC 6455 section 7.1.5). */
const NO_CODE = 1005;

export interface NativeSocket extends WebSocket {
  /** The client's close frame has come, and is being answered. Long before the `close` event, when the client leaves the rest to us. */
  onLeave: ((code: number, reason: string) => void) | undefined;
  /** The client has broken the protocol, and is being told so with this code. */
  onBroken: ((code: number) => void) | undefined;
  /** Speaks WebSocket over `stream` from now on. Not in the types of `ws`. */
  setSocket(stream: Duplex, head: Buffer, options: object): void;
  /** Closes because we want to. */
  leave(code?: number, reason?: string): void;
}

export type NativeClass = typeof WebSocket & (new (...args: ConstructorParameters<typeof WebSocket>) => NativeSocket);

/** Made from the class once `ws` is loaded. */
export function nativeClass(Base: typeof WebSocket): NativeClass {
  return class extends Base implements NativeSocket {
    onLeave: NativeSocket['onLeave'] = undefined;
    onBroken: NativeSocket['onBroken'] = undefined;
    declare setSocket: NativeSocket['setSocket'];

    /**
     * `ws` itself calls this: for a close frame of the client with what that had in it, code and reason or neither; for a mistake of the
     * client with a code alone.
     */
    override close(code?: number, reason?: string | Buffer): void {
      if (code !== undefined && reason === undefined) {
        super.close(code, REASONS[code]);
        this.onBroken?.(code);
      } else {
        super.close(code, reason);
        this.onLeave?.(code ?? NO_CODE, String(reason ?? ''));
      }
    }

    leave(code?: number, reason?: string): void {
      super.close(code, reason);
    }
  };
}
