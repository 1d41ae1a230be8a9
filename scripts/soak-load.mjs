// A mixed load for a long measurement: viewers of every kind who come and go, slow readers, pages, CGI, bodies, large messages. Paced, so that it
// is the same on a fast machine and on a slow one.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { upgrade } from './memory-load.mjs';

/** Each in milliseconds. */
const SHORTEST_VISIT = 3000;
const LONGEST_VISIT = 90_000;
const PONG_EVERY = 10_000;
const GIVE_UP = 30_000;

/** Of 16 viewers: ten by WebSocket, three event streams, three long-polls. */
const KINDS = [...Array(10).fill('websocket'), ...Array(3).fill('events'), ...Array(3).fill('poll')];

export class SoakLoad {
  counts = {};
  running = true;
  #sockets = new Set();
  #loops = [];

  /** @param rate multiplies how often everything happens; the number of viewers stays. */
  constructor(port, viewers, rate) {
    this.port = port;
    const every = (perSecond, act) => this.#loops.push(this.#repeat(1000 / (perSecond * rate), act));
    for (let index = 0; index < viewers; index += 1) this.#loops.push(this.#viewer(KINDS[index % KINDS.length]));
    for (let index = 0; index < viewers / 8; index += 1)
      this.#loops.push(this.#slowReader(index % 4 === 0 ? '/live' : '/large'));
    for (let index = 0; index < 2; index += 1) this.#loops.push(this.#slowDownload());
    for (let index = 0; index < 4; index += 1) this.#loops.push(this.#keptConnection(rate));
    every(4, () => this.#request('page', get('/page-300k.html')));
    every(10, () => this.#request('page', get(`/missing-${Math.floor(Math.random() * 1000)}`)));
    every(5, () => this.#request('cgi', get('/cgi-bin/hello.cgi?name=soak')));
    every(3, () => this.#request('body', post('/cgi-bin/length.cgi', randomBytes(size(200_000)))));
    every(3, () => this.#request('message', post('/live', 'a message by POST', 'text/plain')));
    every(1, () => this.#echo());
    // Who leaves in the middle of whatever it is.
    every(2, () => this.#abandon(get('/cgi-bin/slow.cgi')));
    every(2, () => this.#abandon(upgrade('/echo')));
    every(2, () => this.#abandon(get('/big.bin')));
  }

  async stop() {
    this.running = false;
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#loops);
  }

  #count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  async #repeat(interval, act) {
    await delay(Math.random() * interval);
    while (this.running) {
      void act();
      await delay(interval * (0.5 + Math.random()));
    }
  }

  #open(...parts) {
    const socket = connect(this.port, '127.0.0.1');
    for (const part of parts) socket.write(part);
    this.#sockets.add(socket);
    socket.on('error', () => this.#count('error'));
    socket.on('close', () => this.#sockets.delete(socket));
    return socket;
  }

  /** Resolves with the whole answer when the server closes; the request must have asked for that. */
  #request(what, parts) {
    return new Promise((resolve) => {
      const socket = this.#open(...parts);
      const timer = setTimeout(() => socket.destroy(), GIVE_UP);
      let answer = '';
      socket.on('data', (bytes) => {
        // The body's end is of interest for polls only, which are short.
        if (answer.length < 100_000) answer += bytes.toString('latin1');
      });
      socket.on('close', () => {
        clearTimeout(timer);
        if (this.running) this.#count(`${what} ${answer.slice(9, 12) || 'none'}`);
        resolve(answer);
      });
    });
  }

  async #viewer(kind) {
    await delay(Math.random() * 5000);
    while (this.running) {
      const visit = SHORTEST_VISIT + Math.random() ** 2 * (LONGEST_VISIT - SHORTEST_VISIT);
      if (kind === 'poll') await this.#poll(visit);
      else await this.#watch(kind === 'websocket' ? upgrade('/live') : get('/live', 'text/event-stream')[0], visit);
      this.#count(kind);
      await delay(100);
    }
  }

  #watch(head, visit) {
    return new Promise((resolve) => {
      const socket = this.#open(head);
      const pongs = setInterval(() => socket.write(PONG), PONG_EVERY);
      const timer = setTimeout(() => socket.destroy(), visit);
      if (!head.includes('Upgrade')) clearInterval(pongs);
      socket.resume();
      socket.on('close', () => {
        clearInterval(pongs);
        clearTimeout(timer);
        resolve();
      });
    });
  }

  async #poll(visit) {
    const until = performance.now() + visit;
    let cursor = '';
    while (this.running && performance.now() < until) {
      const answer = await this.#request('poll', get(`/live?transport=poll${cursor}`));
      const found = /"cursor":"([^"]+)"/.exec(answer)?.[1];
      cursor = found === undefined ? '' : `&cursor=${found}`;
      await delay(500);
    }
  }

  /** Reads nothing for some seconds, then all that waits, and so on. */
  async #slowReader(path) {
    while (this.running) {
      const socket = this.#open(upgrade(path));
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume();
      for (let turn = 0; turn < 8 && this.running && !socket.destroyed; turn += 1) {
        socket.pause();
        await delay(1000 + Math.random() * 4000);
        socket.resume();
        if (!socket.destroyed) socket.write(PONG);
        await delay(1000);
      }
      socket.destroy();
      await closed;
      this.#count('slow reader');
    }
  }

  async #slowDownload() {
    while (this.running) {
      const socket = this.#open(get('/big.bin')[0]);
      let open = true;
      socket.on('close', () => (open = false));
      socket.on('data', () => {
        socket.pause();
        setTimeout(() => socket.resume(), 30);
      });
      const from = performance.now();
      while (open && this.running && performance.now() - from < GIVE_UP) await delay(200);
      socket.destroy();
      this.#count('slow download');
    }
  }

  /** Thirty small pages a second on one connection. */
  async #keptConnection(rate) {
    while (this.running) {
      const socket = this.#open();
      socket.resume();
      for (let left = 600; left > 0 && this.running && !socket.destroyed; left -= 1) {
        socket.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
        this.#count('kept page');
        await delay(33 / rate);
      }
      socket.destroy();
    }
  }

  /** A program of its own, which gets some large messages and sends them back. */
  async #echo() {
    const socket = this.#open(upgrade('/echo'));
    socket.resume();
    for (let left = 4; left > 0 && this.running; left -= 1) {
      await delay(300);
      if (!socket.destroyed) socket.write(textFrame(Buffer.alloc(size(60_000), 'x')));
    }
    await delay(300);
    socket.destroy();
    this.#count('echo');
  }

  async #abandon(head) {
    const socket = this.#open(Array.isArray(head) ? head[0] : head);
    socket.resume();
    await delay(Math.random() * 100);
    socket.destroy();
    this.#count('abandoned');
  }
}

function get(path, accept = '*/*') {
  return [`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: ${accept}\r\nConnection: close\r\n\r\n`];
}

function post(path, body, type = 'application/octet-stream') {
  const head = `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  return [head, body];
}

/** Small ones are as frequent as large ones. */
function size(largest) {
  return Math.ceil(Math.exp(Math.random() * Math.log(largest)));
}

/** A pong that nobody asked for, masked with zeros: the viewers do not look for pings. */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

/** A text message, masked with zeros. */
function textFrame(payload) {
  if (payload.length < 126) return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
  const head = Buffer.from([0x81, 0xfe, 0, 0, 0, 0, 0, 0]);
  head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}
