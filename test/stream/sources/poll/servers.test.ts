/** Streams that poll the old web servers of Debian, as they are: `poll = "http://…"`. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { ask, TestSocket } from '../../../support/client.ts';
import { EventClient } from '../../../support/event-stream.ts';
import { type Running, startGateway } from '../../../support/gateway.ts';
import { OLD_PROGRAMS, type OldProgram, type OldSite, oldSite, type Said } from '../../../support/old-programs.ts';
import { connectionsOf, memoryOf, until } from '../../../support/processes.ts';

const INTERVAL = 100;
/** The interval is this much shorter at most, by chance. */
const LEAST = 0.9 * INTERVAL;

const CONFIG = ({ port, recorded }: OldSite): string => `
[[listen]]
address = "127.0.0.1:0"
${Object.entries({
  page: `${recorded}/cgi-bin/page.cgi?unit=c`,
  file: `${recorded}/file.txt`,
  direct: `${port}/file.txt`,
  'large-page': `${port}/cgi-bin/large.cgi`,
  'large-file': `${port}/large.bin`,
  missing: `${port}/missing.txt`,
})
  .map(
    ([name, where]) =>
      `[stream."/${name}"]\npoll = "http://127.0.0.1:${where}"\ninterval = "${INTERVAL}ms"\nidle_stop = "0ms"\nrestart_delay = "10ms"\nrestart_delay_max = "100ms"\n`,
  )
  .join('')}`;

const JSON_HEAD = 'Content-Type: application/json\r\n\r\n';
const failing = (why: string): string => `the source of this stream fails: ${why}; the gateway keeps trying`;

const conditional = ({ request }: Said): boolean => /^if-(none-match|modified-since):/im.test(request);
const unchanged = ({ answer }: Said): boolean => /^HTTP\/1\.[01] 304 /.test(answer);

async function page(running: Running, site: OldSite, { cgi }: OldProgram): Promise<void> {
  assert.ok(cgi !== undefined);
  site.print(`${JSON_HEAD}{"n":1}`);
  const since = performance.now();
  const viewers = await Promise.all([1, 2, 3].map(() => EventClient.open(running.port, '/page')));
  const socket = await TestSocket.open(`ws://127.0.0.1:${running.port}/page`);
  const everybodyHas = async (...bodies: readonly string[]): Promise<void> => {
    for (const viewer of [...viewers, socket]) assert.deepEqual(await viewer.first(bodies.length), bodies);
  };
  await everybodyHas('{"n":1}');
  site.print(`${JSON_HEAD}{"n":2}`);
  await everybodyHas('{"n":1}', '{"n":2}');
  // The same body again and again is no news, and is not asked for more often than the interval allows, whoever watches.
  const before = site.runs();
  await until('it was asked five times more', () => site.runs() >= before + 5);
  assert.ok(site.runs() <= (performance.now() - since) / LEAST + 1, `${site.runs()} runs`);
  await everybodyHas('{"n":1}', '{"n":2}');

  const [first] = site.asked('/cgi-bin/page.cgi?unit=c');
  assert.match(first?.answer ?? '', new RegExp(`^HTTP/${cgi.version.replace('.', '\\.')} 200 `));
  assert.equal(/^content-length:/im.test(first?.answer ?? ''), cgi.length);

  // A validator of the program's own.
  site.print(`ETag: "three"\r\n${JSON_HEAD}{"n":3}`);
  await everybodyHas('{"n":1}', '{"n":2}', '{"n":3}');
  await until('it is asked on that condition', () => {
    const asked = site.asked('/cgi-bin/page.cgi').filter(conditional);
    return asked.some(({ request }) => /^if-none-match: "three"\r$/im.test(request)) && asked.some(unchanged) === cgi.conditional; // biome-ignore format: one line
  });
  site.print(`ETag: "four"\r\n${JSON_HEAD}{"n":4}`);
  await everybodyHas('{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}');

  // An error page that says 200.
  site.print('Content-Type: text/html\r\n\r\n<html>Internal error</html>');
  const [viewer] = viewers;
  const html = failing('it answers with an HTML page instead of JSON');
  assert.deepEqual(await viewer?.first(1, 'notice'), [html]);
  site.print(`${JSON_HEAD}{"n":5}`);
  await everybodyHas('{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}', '{"n":5}');
  assert.deepEqual(await viewer?.first(2, 'notice'), [html, 'the source answers again']);

  // What a viewer sends goes to the program, and its answer to that viewer.
  socket.ws.send('hello');
  const posted = await ask(running.port, '/page', { method: 'POST', body: 'a=1&b=2' });
  if (cgi.posts === 'cut') {
    await until('it has an answer, or none for good', () =>
      [...socket.messages.slice(5), ...running.log.map(({ message }) => message)].some((text) =>
        /: hello$|^a message to the source failed/.test(text),
      ),
    );
    assert.ok(posted.status === 502 || posted.body.endsWith(': a=1&b=2'), posted.body);
  } else if (cgi.posts) {
    assert.equal((await socket.first(6))[5], 'text/plain; charset=utf-8 unit=c: hello');
    assert.equal(posted.status, 200);
    assert.match(posted.body, /^(text\/plain; charset=utf-8)? unit=c: a=1&b=2$/);
  } else {
    assert.match((await socket.first(6))[5] ?? '', /\S/);
    assert.equal(posted.status, 501);
  }
  for (const each of viewers) assert.equal(each.all().length, 5);
  for (const each of viewers) each.close();
  socket.ws.terminate();
}

async function file(running: Running, site: OldSite, { fileCondition }: OldProgram): Promise<void> {
  site.write('one');
  const viewer = await EventClient.open(running.port, '/file');
  assert.deepEqual(await viewer.first(1), ['one']);
  const asked = (): readonly Said[] => site.asked('/file.txt');
  await until('it was asked again', () => asked().length >= 4);
  const [, ...later] = asked();
  if (fileCondition === undefined) assert.ok(!later.some(unchanged));
  else {
    assert.ok(later.every(unchanged), JSON.stringify(later));
    for (const { request } of later) assert.match(request, new RegExp(`^${fileCondition}: `, 'im'));
  }
  site.write('two');
  assert.deepEqual(await viewer.first(2), ['one', 'two']);
  // Twice within what is most often one second.
  site.write('three', false);
  assert.deepEqual(await viewer.first(3), ['one', 'two', 'three']);
  site.write('the last', false);
  assert.deepEqual(await viewer.first(4), ['one', 'two', 'three', 'the last']);
  viewer.close();
}

async function restart(running: Running, site: OldSite): Promise<void> {
  site.write('before');
  const viewer = await EventClient.open(running.port, '/direct');
  // Some servers remember a file for a second.
  await until('it has the file', () => viewer.all().at(-1) === 'before');
  await site.stop();
  const [said = ''] = await viewer.first(1, 'notice');
  // What was under way when it stopped is broken off.
  assert.ok(['nothing listens there', 'it closed the connection too early'].map(failing).includes(said), said);
  const late = await EventClient.open(running.port, '/direct');
  assert.deepEqual(await late.first(1, 'notice'), [said]);
  site.write('meanwhile');
  await site.start();
  await until('it has what was written meanwhile', () => viewer.all().at(-1) === 'meanwhile');
  assert.deepEqual(await viewer.first(2, 'notice'), [said, 'the source answers again']);
  assert.deepEqual((await late.first(2, 'notice'))[1], 'the source answers again');
  for (const each of [viewer, late]) each.close();
}

async function large(running: Running, { cgi }: OldProgram): Promise<void> {
  const said = async (path: string): Promise<string> => {
    const viewer = await EventClient.open(running.port, path);
    const [notice = ''] = await viewer.first(1, 'notice');
    viewer.close();
    return notice;
  };
  const before = memoryOf(running.pid, 'RssAnon');
  assert.match(await said('/large-file'), /its response is too large: 50000000 bytes, max_message is 65536/);
  assert.match(await said('/missing'), /it answers with an error \(404\)/);
  if (cgi !== undefined)
    assert.match(
      await said('/large-page'),
      /its response is too large: (more than max_message, 65536 bytes|50000000 bytes)/,
    );
  const grown = memoryOf(running.pid, 'RssAnon') - before;
  assert.ok(grown < 30_000, `${grown} KiB`);
}

for (const server of OLD_PROGRAMS)
  test(server.name, async (t) => {
    if (!existsSync(server.program)) return t.skip(`needs ${server.program}`);
    const site = await oldSite(t, server);
    const running = await startGateway(t, { config: CONFIG(site) });
    const left = (): readonly string[] =>
      connectionsOf(running.pid).filter((each) =>
        [site.port, site.recorded].some((port) => each.includes(` ${port} `)),
      );
    if (server.cgi !== undefined) await t.test('a program', () => page(running, site, server));
    await t.test('a file', () => file(running, site, server));
    await t.test('stopped and started again', () => restart(running, site));
    await t.test('50 MB', () => large(running, server));
    await until(
      () => `no connection is left; there are ${left().join(', ')}`,
      () => left().length === 0,
    );
    assert.equal(await running.stop(), 0);
  });
