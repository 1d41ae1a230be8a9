// The console: opens a stream by one of its transports, shows what comes, and sends.
import { element, setText } from './tables.js';

/** Lines that are kept. */
const MOST = 500;
const LONGEST = 2000;

export function streamConsole() {
  const byId = (id) => document.getElementById(id);
  const [form, path, transport, output, text] = ['console-form', 'c-path', 'c-transport', 'c-output', 'c-text'].map(
    byId,
  );
  const [open, send] = ['c-open', 'c-send'].map(byId);
  let link;
  // It scrolls, so the keyboard must reach it.
  output.tabIndex = 0;

  const say = (kind, words) => {
    const stays = output.scrollHeight - output.scrollTop - output.clientHeight < 30;
    const shown = words.length > LONGEST ? `${words.slice(0, LONGEST)} … (${words.length} characters)` : words;
    output.append(element('div', { class: kind }, shown));
    while (output.childElementCount > MOST) output.firstElementChild.remove();
    if (stays) output.scrollTop = output.scrollHeight;
  };
  const isOpen = (now) => {
    setText(open, now ? 'Close' : 'Open');
    text.disabled = !now;
    send.disabled = !now;
    path.disabled = now;
    transport.disabled = now;
  };
  const close = (why) => {
    if (link === undefined) return;
    const closing = link;
    link = undefined;
    closing.close();
    say('note', why);
    isOpen(false);
  };

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (link !== undefined) {
      close('closed here');
      return;
    }
    say('note', `opening ${path.value} as ${transport.selectedOptions[0].textContent}`);
    const url = (more) => `status/console?${new URLSearchParams({ to: path.value, ...more })}`;
    const own = OPENERS[transport.value](url, say, (why) => {
      if (link === own) close(why);
    });
    link = own;
    isOpen(true);
    text.focus();
  });
  const sendText = () => {
    if (link === undefined) return;
    say('sent', text.value);
    link.send(text.value);
    text.value = '';
  };
  send.addEventListener('click', sendText);
  text.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    sendText();
  });
}

/** Each gives `{send, close}`. */
const OPENERS = {
  websocket: (url, say, ended) => webSocket(url({}), say, ended),
  numbered: (url, say, ended) => webSocket(url({ after: '' }), say, ended),
  events(url, say, ended) {
    const source = new EventSource(url({}));
    let session;
    source.onopen = () => say('note', 'open');
    source.onmessage = ({ data, lastEventId }) => say('came', lastEventId === '' ? data : `${lastEventId}  ${data}`);
    for (const kind of ['joined', 'missed', 'notice', 'stderr', 'partial', 'binary', 'end', 'error-event', 'ping'])
      source.addEventListener(kind, ({ data }) => {
        if (kind === 'joined') session = sessionOf(data);
        if (data !== undefined)
          say('note', `${kind}: ${kind === 'joined' ? data.replace(session ?? '\n', '(session)') : data}`);
      });
    source.onerror = () =>
      ended(source.readyState === EventSource.CLOSED ? 'refused, or over' : 'the connection ended');
    return {
      close: () => source.close(),
      send: (words) => post(url(session === undefined ? {} : { session }), words, say),
    };
  },
  'long-poll'(url, say, ended) {
    const aborting = new AbortController();
    let over = false;
    const ask = async (after) => {
      const answer = await fetch(url({ transport: 'poll', cursor: after }), { signal: aborting.signal });
      const body = await answer.text();
      say('note', `${answer.status} ${answer.headers.get('content-type') ?? ''}`);
      if (body !== '') say('came', body);
      if (!answer.ok) throw new Error(`answered with ${answer.status}`);
      return cursorOf(body) ?? after;
    };
    const loop = async () => {
      let cursor = '';
      while (!over) cursor = await ask(cursor);
    };
    loop().catch((error) => {
      if (!over) ended(error.message);
    });
    return {
      close() {
        over = true;
        aborting.abort();
      },
      send: (words) => post(url({}), words, say),
    };
  },
};

function webSocket(url, say, ended) {
  const socket = new WebSocket(new URL(url, location.href.replace(/^http/, 'ws')));
  // What is sent before it is open, in order.
  const early = [];
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    say('note', 'open');
    for (const words of early) socket.send(words);
    early.length = 0;
  };
  socket.onmessage = ({ data }) =>
    say('came', typeof data === 'string' ? data.replace(/("session":")[^"]*/, '$1(session)') : hex(data));
  socket.onclose = ({ code, reason }) => ended(`closed: ${code} ${reason}`);
  return {
    close: () => socket.close(),
    send(words) {
      if (socket.readyState === WebSocket.CONNECTING) early.push(words);
      else socket.send(words);
    },
  };
}

async function post(url, words, say) {
  try {
    const answer = await fetch(url, { method: 'POST', body: words });
    say('note', `POST: ${answer.status} ${(await answer.text()).trim()}`);
  } catch (error) {
    say('note', `POST: ${error.message}`);
  }
}

function hex(buffer) {
  const bytes = new Uint8Array(buffer, 0, Math.min(64, buffer.byteLength));
  return `${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')} (${buffer.byteLength} bytes)`;
}

function sessionOf(data) {
  try {
    return JSON.parse(data).session;
  } catch {
    return undefined;
  }
}

function cursorOf(body) {
  try {
    return JSON.parse(body).cursor;
  } catch {
    return undefined;
  }
}
