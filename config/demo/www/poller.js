// The old way: ask, wait, ask again.

import { retryDelay } from './backoff.js';

const TIMEOUT_MS = 10_000;

/**
 * Options: `path`, `interval` (ms, may be changed at any time through `setInterval`), and the callbacks
 * `onState(state, detail)`, `onRequest()` and `onAnswer(text, bytes)`, where `bytes` counts the response's head too.
 */
export class Poller {
  constructor(options) {
    this.options = options;
    this.interval = options.interval;
    this.failures = 0;
    this.timer = 0;
    this.asking = false;
  }

  start() {
    this.options.onState('connecting', 'asking for the first time');
    this.ask();
  }

  setInterval(interval) {
    this.interval = interval;
    if (!this.asking) this.ask();
  }

  async ask() {
    clearTimeout(this.timer);
    const started = performance.now();
    const abort = new AbortController();
    const deadline = setTimeout(() => abort.abort(), TIMEOUT_MS);
    this.asking = true;
    try {
      this.options.onRequest();
      const response = await fetch(this.options.path, { cache: 'no-store', signal: abort.signal });
      const text = await response.text();
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.options.onAnswer(text, headBytes(response) + new Blob([text]).size);
      this.failures = 0;
      this.options.onState('live', `took ${(performance.now() - started).toFixed(0)} ms`);
    } catch (error) {
      this.failures += 1;
      const why = error.name === 'AbortError' ? 'no answer' : error.name === 'TypeError' ? 'offline' : error.message;
      this.options.onState('reconnecting', `retry in ${Math.ceil(this.delay(started) / 1000)} s: ${why}`);
    }
    clearTimeout(deadline);
    this.asking = false;
    this.timer = setTimeout(() => this.ask(), this.delay(started));
  }

  /** From now to the next request: the interval counts from the start of the last one. */
  delay(started) {
    if (this.failures > 0) return Math.max(this.interval, retryDelay(this.failures));
    return Math.max(0, started + this.interval - performance.now());
  }
}

/** The size of a response's head in HTTP/1.1. */
function headBytes(response) {
  let bytes = `HTTP/1.1 ${response.status} ${response.statusText}\r\n\r\n`.length;
  response.headers.forEach((value, name) => {
    bytes += `${name}: ${value}\r\n`.length;
  });
  return bytes;
}
