/** A CGI program in Python whose client leaves: no traceback in the log. One that is too late keeps its own, which says where it hangs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startGateway } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';

const noPython = spawnSync('python3', ['--version']).status === 0 ? false : 'needs python3';

test('Python programs that are ended', { skip: noPython }, async (t) => {
  const route = (name: string, interruptAfter: string, keys = '') =>
    `[cgi."/${name}"]\ncommand = ["python3", "${name}.py"]\ninterrupt_after = "${interruptAfter}"\nterminate_after = "10m"\ndirectory = "."\n${keys}`;
  const routes = [route('silent', '0ms'), route('writes', '0ms'), route('late', '10m', 'timeout = "500ms"\n')].join('');
  const gateway = await startGateway(t, {
    config: `[[listen]]\naddress = "127.0.0.1:0"\n${routes}`,
    files: {
      'silent.py': 'import time\nopen("silent.up", "w").close()\ntime.sleep(600)\n',
      'writes.py':
        'import time\nprint("Content-Type: text/plain\\n", flush=True)\nwhile True:\n  print("tick", flush=True)\n  time.sleep(0.01)\n',
      // It waits for the gateway to give it up. INT might come before Python is ready for it.
      'late.py': 'import select\np = select.poll()\np.register(1, 0)\np.poll()\nraise KeyboardInterrupt\n',
    },
  });
  const said = (name: string) =>
    gateway.log.filter((line) => line['route'] === `/${name}` && line['from'] === 'stderr');
  const explained = (name: string) =>
    gateway.logged(
      (line) => line['route'] === `/${name}` && String(line.message).includes('a Python program was interrupted'),
    );
  for (const [name, begun] of [
    ['silent', () => existsSync(join(gateway.folder, 'silent.up'))],
    ['writes', undefined],
  ] as const) {
    const aborted = new AbortController();
    const reply = fetch(gateway.url(`/${name}`), { signal: aborted.signal });
    if (begun === undefined) await (await reply).body?.getReader().read();
    else await until('the program runs', begun);
    aborted.abort();
    await reply.catch(() => undefined);
    await explained(name);
    assert.deepEqual(said(name), [], name);
  }
  assert.equal((await fetch(gateway.url('/late'))).status, 504);
  await gateway.logged((line) => line['from'] === 'stderr' && line.message === 'KeyboardInterrupt');
  assert.ok(said('late').length > 1);
});
