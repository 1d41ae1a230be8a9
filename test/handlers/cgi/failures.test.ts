/** CGI programs that fail, hang, write too much or too little: what the client gets, what the log gets, that nothing is left. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import { askCgi, startCgiGateway, wire } from '../../support/cgi-gateway.ts';
import { ask } from '../../support/client.ts';
import type { LogLine, Running } from '../../support/gateway.ts';
import { memoryOf, processes, programsOf, until } from '../../support/processes.ts';
import { RawClient, type RawReply } from '../../support/raw.ts';
import { ENGINES } from '../../support/trial.ts';

/** What the log has of one request: its line, and what was said about it. */
interface Logged {
  readonly line: LogLine;
  readonly said: readonly string[];
}

interface Case {
  readonly name: string;
  readonly script: string;
  readonly status: number;
  /** False: the connection is cut, so that the client can tell. */
  readonly complete?: boolean;
  readonly body?: string;
  /** In a message about the request, or in the `cut` of its line. */
  readonly log?: RegExp;
  readonly exit?: number | string;
}

const CASES: readonly Case[] = [
  { name: 'nothing', script: ':', status: 502, log: /wrote nothing; exit 0/ },
  {
    name: 'nothing, but a word on stderr',
    script: 'echo no disk >&2; exit 7',
    status: 502,
    log: /wrote nothing; exit 7; last lines of stderr: no disk/,
    exit: 7,
  },
  {
    name: 'no header',
    script: 'echo hello world',
    status: 502,
    log: /no colon: \\?"hello world.*begins with lines such as/,
  },
  {
    name: 'a page without its header',
    script: 'echo "<html>"; echo "</html>"',
    status: 502,
    log: /no colon: \\?"<html>/,
  },
  {
    name: 'half a header',
    script: 'printf "Content-Type: text/html\\n"',
    status: 502,
    log: /ended before the empty line/,
  },
  {
    name: 'half a header, then a signal',
    script: 'printf "Content-Ty"; kill -SEGV $$',
    status: 502,
    log: /signal SIGSEGV/,
    exit: 'SIGSEGV',
  },
  {
    name: 'a header of 1 MB',
    script: 'printf "X: "; head -c 1000000 /dev/zero | tr "\\0" a; printf "\\n\\n"',
    status: 502,
    log: /longer than 65536/,
  },
  { name: 'a header that never ends', script: 'yes "X: y"', status: 502, log: /longer than 65536/ },
  {
    name: 'a whole document and a status other than 0',
    script: 'printf "\\nwhole"; exit 3',
    status: 200,
    body: 'whole',
    exit: 3,
  },
  {
    name: 'a document and a last test that is false',
    script: 'printf "\\nwhole"; [ a = b ] && echo',
    status: 200,
    body: 'whole',
    exit: 1,
  },
  {
    name: 'it dies after half of its document',
    script: 'printf "\\nhalf"; kill -KILL $$',
    status: 200,
    complete: false,
    body: 'half',
    log: /it died: signal SIGKILL/,
  },
  {
    name: 'less than its Content-Length',
    script: 'printf "Content-Length: 9\\n\\nhalf"',
    status: 200,
    complete: false,
    body: 'half',
    log: /announced 9 bytes and wrote 4/,
  },
  { name: 'more than its Content-Length', script: 'printf "Content-Length: 2\\n\\nmore"', status: 200, body: 'mo' },
  {
    name: 'a signal after its whole Content-Length',
    script: 'printf "Content-Length: 5\\n\\nwhole"; kill -KILL $$',
    status: 200,
    body: 'whole',
  },
  {
    name: 'chunks that end too soon',
    script: 'printf "Transfer-Encoding: chunked\\n\\n4\\r\\nhalf\\r\\n"',
    status: 200,
    complete: false,
    body: 'half',
    log: /before its last chunk/,
  },
  {
    name: 'chunks that are wrong from the second one on',
    script: 'printf "Transfer-Encoding: chunked\\n\\n2\\r\\nha\\r\\n2\\r\\nlves"',
    status: 200,
    complete: false,
    body: 'halv',
    log: /longer than its stated size/,
  },
  {
    name: 'the field for chunks, and a document',
    script: 'printf "Transfer-Encoding: chunked\\n\\n<p>whole"',
    status: 200,
    body: '<p>whole',
  },
  {
    name: 'the field for chunks, and a document in two pieces that begins like one',
    script: 'printf "Transfer-Encoding: chunked\\n\\n2\\nha"; sleep 0.1; printf "lf"',
    status: 200,
    body: '2\nhalf',
  },
  { name: 'no header in time', script: 'sleep 1000', status: 504, log: /no header within 500 ms/ },
  {
    name: 'a header, and then it never stops',
    script: 'printf "\\nsome"; sleep 1000',
    status: 200,
    complete: false,
    body: 'some',
    log: /not finished after 1500 ms/,
  },
  {
    name: 'it ignores every signal but KILL',
    script: 'trap "" INT TERM; printf "\\nsome"; while :; do sleep 0.1; done',
    status: 200,
    complete: false,
    body: 'some',
    log: /not finished after 1500 ms/,
  },
  {
    name: 'it closes its output and lives on',
    script: 'printf "\\nwhole"; exec >&- 2>&-; sleep 1000',
    status: 200,
    body: 'whole',
  },
  { name: 'it closes its output before its header', script: 'exec >&-; sleep 1000', status: 502, log: /wrote nothing/ },
  {
    // As Apache and lighttpd do: the reply is over when nobody can write to it any more.
    name: 'a background process keeps its output open',
    script: 'sleep 1000 & printf "\\nwhole"',
    status: 200,
    complete: false,
    body: 'whole',
    log: /it has ended \(exit 0\), but its output is still open/,
  },
  {
    name: 'a background process without its output',
    script: 'sleep 1 >/dev/null 2>&1 & printf "\\nwhole"',
    status: 200,
    body: 'whole',
  },
  {
    name: 'a background process, and a Content-Length',
    script: 'sleep 1000 & printf "Content-Length: 5\\n\\nwhole"',
    status: 200,
    body: 'whole',
  },
];

async function logOf(running: Running, reply: RawReply): Promise<Logged> {
  const id = /^id (.+)$/m.exec(reply.body.toString())?.[1];
  const isIts = (line: LogLine): boolean =>
    line.message === 'GET /cgi-bin/modes.cgi' && (id === undefined || line['id'] === id);
  const line = await running.logged(isIts);
  return { line, said: running.log.filter((other) => other['id'] === line['id']).map(({ message }) => message) };
}

async function nothingRuns(running: Running): Promise<void> {
  await until('no program is left', () => programsOf(running.pid).length === 0);
}

for (const engine of ENGINES) {
  test(`programs that fail (${engine})`, async (t) => {
    const running = await startCgiGateway(t, engine, {
      keys: 'timeout = "500ms"\ntotal_timeout = "1500ms"\n',
      more: '[admin]\nlisten = "127.0.0.1:0"\n',
    });
    const adminPort = running.ports.at(-1) ?? 0;
    for (const { name, script, status, complete = true, body, log, exit } of CASES) {
      await t.test(name, async () => {
        running.log.length = 0;
        const reply = await askCgi(running, { script });
        assert.deepEqual([reply.status, reply.complete], [status, complete], reply.body.toString());
        if (body !== undefined) assert.equal(reply.body.toString(), body);
        else
          assert.match(
            reply.body.toString(),
            /^\d{3} [A-Z][^\n]+\n\nid \S+\n$/,
            'the client gets the status and an id, nothing else',
          );
        const { line, said } = await logOf(running, reply);
        if (log)
          assert.ok(
            [...said, String(line['cut'])].some((text) => log.test(text)),
            [...said, line['cut']].join('\n'),
          );
        assert.equal(line['cut'] !== undefined, !complete);
        if (exit !== undefined) assert.equal(line['exit'], exit);
        assert.ok(!running.log.some(({ message }) => message === 'internal error'));
      });
    }
    await nothingRuns(running);
    const cuts = CASES.filter(({ complete }) => complete === false).length;
    const { body } = await ask(adminPort, '/metrics');
    assert.ok(body.includes(`runnel_dropped_total{route="/cgi-bin/",reason="cut"} ${cuts}\n`), body);
  });

  test(`a body of 100 MB that the program ignores, and one that it answers before reading (${engine})`, async (t) => {
    const running = await startCgiGateway(t, engine, { keys: 'limits = { body = "128MiB" }' });
    const body = Buffer.alloc(100_000_000, 'body');
    const post = (script: string): ReturnType<typeof ask> =>
      ask(running.port, '/cgi-bin/modes.cgi', { method: 'POST', body, headers: { 'X-Script': script } });
    assert.equal((await post('printf "\\nignored"')).body, 'ignored');
    assert.equal((await post('printf "\\nfirst "; head -c 200000000 | wc -c | tr -d "\\n "')).body, 'first 100000000');
    await nothingRuns(running);
  });

  test(`a document of 1 GB for a client that reads slowly: bounded memory, whole in the end (${engine})`, async (t) => {
    const total = 1_000_000_000;
    const running = await startCgiGateway(t, engine);
    const before = memoryOf(running.pid, 'VmRSS');
    const headers = { 'X-Script': `printf "Content-Type: a/b\\n\\n"; exec head -c ${total} /dev/zero` };
    const [response] = (await once(request(running.url('/cgi-bin/modes.cgi'), { headers }).end(), 'response')) as [
      IncomingMessage,
    ];
    // Nobody reads, so the program must come to a stop.
    const written = await standstill(() => writtenBy(running, 'head -c'));
    assert.ok(written < 32 << 20, `${written} bytes were taken from it`);
    let bytes = 0;
    const slowly = 10_000_000;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // Slowly at first: the program is never far ahead.
      if (bytes > slowly) continue;
      await new Promise((resolve) => setTimeout(resolve, 2));
      assert.ok(writtenBy(running, 'head -c') - bytes < 32 << 20);
    }
    assert.deepEqual([bytes, response.complete], [total, true]);
    const grown = memoryOf(running.pid, 'VmRSS') - before;
    assert.ok(grown < 64 << 10, `${grown} KiB more`);
    await nothingRuns(running);
  });

  test(`a client that leaves ends the whole group (${engine})`, async (t) => {
    const running = await startCgiGateway(t, engine);
    for (const [when, begin] of [
      ['before the header', ''],
      ['within the document', 'printf "\\nsome"; '],
    ] as const) {
      await t.test(when, async () => {
        const client = await RawClient.connect(running.port);
        client.send(wire({ script: `${begin}trap "" INT; sleep 999 & sleep 999` }));
        const ours = (): boolean => familyOf(running).filter((command) => command === 'sleep 999').length === 2;
        await until('it runs with its child', ours);
        if (begin !== '') await until('the client has some', () => client.received.includes('some'));
        const sessions = new Set(programsOf(running.pid).map(({ session }) => session));
        client.destroy();
        await nothingRuns(running);
        // Not our child: it was killed with the others, but is reaped by somebody else.
        await until('its child is gone', () =>
          processes().every(({ command, session }) => command !== 'sleep 999' || !sessions.has(session)),
        );
      });
    }
  });

  test(`places and the line: 503 with Retry-After when it is full or the wait too long (${engine})`, async (t) => {
    const running = await startCgiGateway(t, engine, {
      keys: 'max_processes = 1\nmax_waiting = 1\nqueue_timeout = "300ms"\n',
      more: '[admin]\nlisten = "127.0.0.1:0"\n',
    });
    const holder = await RawClient.connect(running.port);
    holder.send(wire({ script: 'printf "\\nsome"; sleep 1000' }));
    await until('it runs', () => holder.received.includes('some'));
    const replies = await Promise.all([1, 2, 3].map(() => askCgi(running, { output: '\\nok' })));
    for (const reply of replies) assert.deepEqual([reply.status, reply.header('retry-after')], [503, '5']);
    await running.logged(({ message }) => /the queue is full \(max_waiting\): 1 requests run and 1 wait/.test(message));
    await running.logged(({ message }) => /waited longer than 300 ms \(queue_timeout\)/.test(message));
    const { body } = await ask(running.ports.at(-1) ?? 0, '/metrics');
    assert.match(body, /runnel_busy_total\{route="\/cgi-bin\/",reason="full"\} 2/);
    assert.match(body, /runnel_busy_total\{route="\/cgi-bin\/",reason="timeout"\} 1/);
    holder.destroy();
    await until('the place is free again', async () => (await askCgi(running, { output: '\\nok' })).status === 200);
  });
}

/** Command lines of the gateway's children and of theirs. */
function familyOf(running: Running): readonly string[] {
  const sessions = new Set(programsOf(running.pid).map(({ session }) => session));
  return processes()
    .filter(({ session }) => sessions.has(session))
    .map(({ command }) => command);
}

/** Bytes that the child with this command line has written so far. */
function writtenBy(running: Running, command: string): number {
  const child = programsOf(running.pid).find((entry) => entry.command.startsWith(command));
  if (child === undefined) return 0;
  return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${child.pid}/io`, 'latin1'))?.[1]);
}

/** The value once it is above 0 and has not changed for ten looks. */
async function standstill(value: () => number): Promise<number> {
  let last = 0;
  let equal = 0;
  await until('a standstill', () => {
    const now = value();
    equal = now === last && now > 0 ? equal + 1 : 0;
    last = now;
    return equal >= 10;
  });
  return last;
}
