// Puts the page together: two sides, fed in two ways, drawn by one clock.

import { MachineClock } from './clock.js';
import { startEcho } from './echo.js';
import { follow } from './live.js';
import { Poller } from './poller.js';
import { formatUptime } from './reading.js';
import { Side } from './side.js';

const POLL_MS = 2000;
const WAYS = { websocket: 'one WebSocket', events: 'one event stream', poll: 'long polls' };
/** 30 pictures a second are smooth at this speed and cost half. */
const FRAME_MS = 33;
const AGE_MS = 100;
/** The script prints twice a second; a busy machine may need longer for a line. */
const LIVE_PAUSE_MS = 3000;
/** A poll that fails is missing between two answers. */
const pollPause = (interval) => Math.max(LIVE_PAUSE_MS, 2 * interval + 1000);

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
  pause: LIVE_PAUSE_MS,
});
const polled = new Side(template, clock, {
  kind: 'polled',
  title: 'Polled',
  way: 'CGI every',
  liveWord: 'polling',
  flowing: false,
  pause: pollPause(POLL_MS),
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

const stream = follow({
  path: 'live/machine',
  onState: (state, detail) => live.state(state, detail),
  onOpen(transport, first) {
    live.set('way', WAYS[transport]);
    live.count('requests');
    // One for all viewers; it may have been there before this page.
    if (first) live.count('programs');
  },
  onMissed: () => live.gap(),
  onLines(lines) {
    // Of many that come at once the newest tells the time: it came quickest.
    const newest = lines[lines.length - 1];
    live.meet(newest.data, performance.now());
    for (const { data, lastEventId } of lines) {
      // A server's frame has a head of 2 bytes, of 4 from 126 bytes on (RFC 6455 section 5.2); the id is a line before the data.
      const size = new Blob([data]).size + lastEventId.length + 4;
      live.count('bytes', size + (size < 126 ? 2 : 4));
      feed(live, data);
    }
    document.getElementById('raw').textContent = newest.data;
  },
});
live.part('again').addEventListener('click', () => stream.again());

const poller = new Poller({
  path: 'cgi-bin/status.cgi',
  interval: POLL_MS,
  onState: (state, detail) => polled.state(state, detail),
  onRequest: () => polled.count('requests'),
  onAnswer(text, bytes) {
    polled.count('programs');
    polled.count('bytes', bytes);
    feed(polled, text);
    polled.pause = pollPause(poller.interval);
  },
});

const pace = polled.part('pace');
pace.hidden = false;
pace.value = String(POLL_MS);
pace.addEventListener('change', () => {
  const interval = Number(pace.value);
  // The answer that is awaited was asked for at the old pace.
  polled.pause = Math.max(polled.pause, pollPause(interval));
  poller.setInterval(interval);
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

poller.start();
startEcho('live/echo');
requestAnimationFrame(frame);
