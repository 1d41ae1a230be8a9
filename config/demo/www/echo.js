// "Say something": a line goes to `cat` and comes back, and the time it took is shown.

import { follow } from './live.js';

/** The answer's place shows at most this much of what was said. */
const QUOTE_LENGTH = 40;

export function startEcho(path) {
  const form = document.getElementById('echo-form');
  const input = document.getElementById('echo-input');
  const answer = document.getElementById('echo-answer');
  const state = document.getElementById('echo-state');
  /** What was sent and has not come back: `cat` answers in order. */
  let waiting = [];
  const times = [];

  const stream = follow({
    path,
    onOpen() {
      waiting = [];
    },
    onState(name, detail) {
      if (times.length === 0 || name !== 'live')
        state.textContent = name === 'live' ? 'cat is waiting' : `${name}: ${detail}`;
    },
    onLines(lines) {
      for (const { data } of lines) back(data);
    },
  });

  function back(text) {
    const sent = waiting.shift();
    if (sent === undefined) return;
    const took = performance.now() - sent;
    times.push(took);
    if (times.length > 1000) times.shift();
    const quote = text.length > QUOTE_LENGTH ? `${text.slice(0, QUOTE_LENGTH)}…` : text;
    answer.textContent = `Back after ${took.toFixed(1)} ms: “${quote}”`;
    const said = times.length === 1 ? 'one line' : `${times.length} lines`;
    state.textContent = `${said} so far, the quickest in ${Math.min(...times).toFixed(1)} ms`;
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const sent = performance.now();
    if (stream.send(input.value || input.placeholder)) {
      waiting.push(sent);
      input.value = '';
    } else {
      stream.again();
      answer.textContent = 'Not sent: there is no connection.';
    }
    input.focus();
  });
}
