// A WebSocket to a stream that comes back by itself when the connection is lost, and stays away when the program ended.

import { retryDelay } from './backoff.js';

/** Close codes that runnel sends when the program has ended: by itself, or with an error. */
const ENDED = [1000, 1011];

/**
 * Options: `path`, `silence` (ms without a message after which the connection counts as lost; 0 for never), and the
 * callbacks `onState(state, detail)`, `onOpen()` and `onLine(text)`. States: connecting, live, reconnecting, ended.
 */
export class LineSocket {
  constructor(options) {
    this.options = options;
    this.failures = 0;
    this.socket = null;
    this.timer = 0;
    this.watchdog = 0;
    // Back in the net, or back in the foreground: do not wait for the timer.
    addEventListener('online', () => this.hurry());
    document.addEventListener('visibilitychange', () => document.hidden || this.hurry());
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.failures === 0) this.options.onState('connecting', 'opening a WebSocket');
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(`${scheme}//${location.host}${this.options.path}`);
    this.socket = socket;
    socket.onopen = () => {
      this.failures = 0;
      this.watch();
      this.options.onState('live', `since ${new Date().toLocaleTimeString()}`);
      this.options.onOpen();
    };
    socket.onmessage = (event) => {
      this.watch();
      this.options.onLine(event.data);
    };
    socket.onclose = (event) => this.lost(event);
  }

  /** Sends one line; false when nobody is there to take it. */
  send(text) {
    if (this.socket === null || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(text);
    return true;
  }

  lost(event) {
    clearTimeout(this.watchdog);
    this.socket = null;
    if (ENDED.includes(event.code)) {
      this.options.onState('ended', event.reason || `code ${event.code}`);
      return;
    }
    this.failures += 1;
    const delay = retryDelay(this.failures);
    const why = event.reason || (event.code === 1006 ? 'offline' : `code ${event.code}`);
    this.options.onState('reconnecting', `retry in ${Math.ceil(delay / 1000)} s: ${why}`);
    this.timer = setTimeout(() => this.connect(), delay);
  }

  /** A connection can die without a word, for example when a phone changes its network. */
  watch() {
    clearTimeout(this.watchdog);
    if (this.options.silence === 0) return;
    this.watchdog = setTimeout(() => {
      const socket = this.socket;
      if (socket === null) return;
      // close() may wait long for a peer that is gone: count it as lost now, and do not hear its end a second time.
      socket.onclose = socket.onmessage = null;
      socket.close();
      this.lost({ code: 1006, reason: 'silence' });
    }, this.options.silence);
  }

  hurry() {
    if (this.timer !== 0) this.connect();
  }
}
