/** Runs `connect`: with stdin and stdout, with a program, or for whoever comes to a port. */
import { Session } from '../../client/session.ts';
import { CONNECT_EXIT, closeOn, report, type Stop, speaker, teller } from './endings.ts';
import { type Outcome, relay } from './relay.ts';
import type { ConnectSettings } from './settings.ts';

/** How long stdout may take for what was received when we are told to end, milliseconds. */
const LAST_WORDS = 500;

/** @returns the exit status */
export async function runConnect(settings: ConnectSettings): Promise<number> {
  const stop = stopping(settings.timeout);
  if (settings.listen !== undefined) {
    const { listen } = await import('./listen.ts');
    return await listen(settings, settings.listen, stop);
  }
  const say = speaker(settings.quiet);
  const session = new Session(settings.plan(teller(say)), undefined);
  closeOn(stop.signal, session);
  if (settings.command.length > 0) {
    const { runCommand } = await import('./command.ts');
    const { outcome, status } = await runCommand(session, settings);
    return stop.status() ?? status ?? report(outcome);
  }
  const { stdin: input, stdout: output } = process;
  const relayed = relay(session, { input, output, apart: false }, settings).then(async (outcome) => {
    // What is still on its way to the reader would be lost with this process.
    if (outcome !== 'unread') await new Promise((resolve) => output.write('', resolve));
    return outcome;
  });
  const outcome = await Promise.race([relayed, stopped(stop.signal, session)]);
  return stop.status() ?? report(outcome);
}

/** A reader that has stopped does not keep us when we are told to end. */
async function stopped(signal: AbortSignal, session: Session): Promise<Outcome> {
  if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  await session.closed.promise.catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, LAST_WORDS));
  return 'unread';
}

/** Node's exit status of a signal is ours to say: 128 and its number. */
function stopping(timeout: number | undefined): Stop {
  const stop = new AbortController();
  let status: number | undefined;
  const end = (code: number): void => {
    status ??= code;
    stop.abort();
  };
  process.on('SIGINT', () => end(130));
  process.on('SIGTERM', () => end(143));
  if (timeout !== undefined) setTimeout(() => end(CONNECT_EXIT.timeout), timeout);
  return { signal: stop.signal, status: () => status };
}
