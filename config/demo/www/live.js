// A stream by runnel's own client (/.runnel/client.js), in the words of this page.

/** How runnel's client calls it, and how this page does. */
const STATES = { connecting: 'connecting', open: 'live', waiting: 'reconnecting', closed: 'ended' };

/**
 * Options: `path`, and the callbacks `onState(state, detail)`, `onOpen(transport, first)`, `onMissed()`, and `onLines(events)` with
 * what has come since the last time. The result can `send(text)`, which tells whether it could, and begin `again()`.
 */
export function follow({ path, onState, onOpen, onMissed, onLines }) {
  let stream = null;
  let first = true;
  let waiting = [];

  function flush() {
    const lines = waiting;
    waiting = [];
    onLines(lines);
  }

  function again() {
    stream?.close();
    stream = new globalThis.Runnel(path);
    stream.onopen = () => {
      onOpen?.(stream.transport, first);
      first = false;
    };
    stream.onmissed = () => onMissed?.();
    stream.onmessage = (event) => {
      if (waiting.push(event) === 1) setTimeout(flush);
    };
    stream.onstate = ({ state, reason, delay }) => {
      const since = `since ${new Date().toLocaleTimeString()}`;
      const retry = `retry in ${Math.ceil(delay / 1000)} s: ${reason}`;
      onState(STATES[state], state === 'open' ? since : state === 'waiting' ? retry : reason || 'looking for a way');
    };
  }

  again();
  return { again, send: (text) => stream.send(text) };
}
