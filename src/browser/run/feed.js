// Follows the stream in a worker, so that no flood keeps the page from its frames: what has come waits here until the page asks for it.
// Lines that are too many are dropped, the oldest first, and counted.

const MOST_QUEUED = 5000;
const MOST_QUEUED_CHARACTERS = 4e6;
// Lines that the page is given at once.
const PORTION = 1000;

let stream;
let queue = []; // [kind, what, time]
let characters = 0;
let lost = 0;
let isAwaited = true; // the page has taken the last portion

function put(kind, what) {
  queue.push([kind, what, Date.now()]);
  if (typeof what === 'string') characters += what.length;
  if (queue.length > 2 * MOST_QUEUED || characters > 2 * MOST_QUEUED_CHARACTERS) cutQueue();
  if (isAwaited) give();
}

function cutQueue() {
  let room = MOST_QUEUED;
  let bytes = MOST_QUEUED_CHARACTERS;
  const kept = [];
  for (let at = queue.length - 1; at >= 0; at--) {
    const [kind, what] = queue[at];
    const isLine = kind === 'message' || kind === 'stderr';
    if (isLine && (room <= 0 || bytes < what.length)) lost++;
    else kept.push(queue[at]);
    if (isLine) {
      room--;
      bytes -= what.length;
    }
  }
  queue = kept.reverse();
  characters = queue.reduce((sum, [, what]) => sum + (typeof what === 'string' ? what.length : 0), 0);
}

function give() {
  if (queue.length === 0 && lost === 0) return;
  isAwaited = false;
  const portion = queue.splice(0, PORTION);
  for (const [, what] of portion) if (typeof what === 'string') characters -= what.length;
  if (lost > 0) portion.unshift(['dropped', lost, Date.now()]);
  lost = 0;
  self.postMessage(portion);
}

function follow({ url, options }) {
  stream?.close();
  const mine = new Runnel(url, options);
  stream = mine;
  for (const kind of ['message', 'stderr', 'partial', 'partial-stderr', 'notice'])
    mine.addEventListener(kind, ({ data }) => put(kind, data));
  mine.onmissed = (event) => put('missed', event.count);
  mine.onopen = (event) => put('open', event.facts);
  mine.onend = ({ code, reason }) => put('end', { code, reason });
  mine.onstate = ({ state, reason, delay }) => mine === stream && put('state', { state, reason, delay });
}

self.onmessage = ({ data }) => {
  if (data.follow) follow(data.follow);
  else if (data.send !== undefined && !stream.send(data.send)) put('unsent', data.send);
  else if (data.next) {
    isAwaited = true;
    give();
  }
};
