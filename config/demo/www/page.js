// Puts the page together: two sides, fed in two ways, drawn by one clock.

import { MachineClock } from './clock.js';
import { startEcho } from './echo.js';
import { LineSocket } from './line-socket.js';
import { Poller } from './poller.js';
import { formatUptime } from './reading.js';
import { Side } from './side.js';

const POLL_MS = 2000;
/** live.sh prints every half second: after this long something is wrong. */
const SILENCE_MS = 6000;
/** 30 pictures a second are smooth at this speed and cost half. */
const FRAME_MS = 33;
const AGE_MS = 100;

const template = document.getElementById('side');
const sides = document.getElementById('sides');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const clock = new MachineClock();

const live = new Side(template, clock, {
  kind: 'live',
  title: 'Streamed',
  way: 'one WebSocket',
  liveWord: 'live',
  flowing: true,
});
const polled = new Side(template, clock, {
  kind: 'polled',
  title: 'Polled',
  way: 'CGI every',
  liveWord: 'polling',
  flowing: false,
});
sides.append(live.element, polled.element);

/** The upper edges of the charts, the same for both sides, or they could not be compared. */
function tops() {
  const highest = (name) => Math.max(live.charts.get(name).peak(), polled.charts.get(name).peak());
  const known = live.shown || polled.shown;
  return {
    cpu: 1,
    load: Math.max(1, highest('load') * 1.15),
    memory: known === null ? 1 : known.memory.total,
    net: Math.max(10_000, highest('net') * 1.15),
  };
}

function facts(sample) {
  const text = `${sample.host}, Linux ${sample.kernel}, up ${formatUptime(sample.uptime)}, ${sample.tasks[1]} tasks`;
  const element = document.getElementById('facts');
  if (element.textContent !== text) element.textContent = text;
}

/** A program that prints nonsense must not stop the page. */
function feed(side, text) {
  const now = performance.now();
  try {
    facts(side.take(text, now));
  } catch (error) {
    console.error('not a sample:', text, error);
    return;
  }
  if (!side.flowing || calm.matches) side.draw(now, tops());
}

const socket = new LineSocket({
  path: '/live/machine',
  silence: SILENCE_MS,
  onState: (state, detail) => live.state(state, detail),
  onOpen() {
    live.count('requests');
    live.count('programs');
    live.gap(performance.now());
  },
  onLine(text) {
    // A server's frame has a head of 2 bytes, of 4 from 126 bytes on (RFC 6455 section 5.2).
    const size = new Blob([text]).size;
    live.count('bytes', size + (size < 126 ? 2 : 4));
    document.getElementById('raw').textContent = text;
    feed(live, text);
  },
});
live.part('again').addEventListener('click', () => socket.connect());

const poller = new Poller({
  path: '/cgi-bin/status.cgi',
  interval: POLL_MS,
  onState: (state, detail) => polled.state(state, detail),
  onRequest: () => polled.count('requests'),
  onAnswer(text, bytes) {
    polled.count('programs');
    polled.count('bytes', bytes);
    feed(polled, text);
  },
});

const pace = polled.part('pace');
pace.hidden = false;
pace.value = String(POLL_MS);
pace.addEventListener('change', () => {
  poller.setInterval(Number(pace.value));
  polled.forgetAges();
});

let drawnAt = 0;
let agedAt = 0;
function frame(now) {
  if (now - agedAt >= AGE_MS) {
    agedAt = now;
    live.age(now);
    polled.age(now);
  }
  if (!calm.matches && now - drawnAt >= FRAME_MS) {
    drawnAt = now;
    live.draw(now, tops());
  }
  requestAnimationFrame(frame);
}

function recolor() {
  live.recolor();
  polled.recolor();
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', recolor);
recolor();

socket.connect();
poller.start();
startEcho('/live/echo');
requestAnimationFrame(frame);
