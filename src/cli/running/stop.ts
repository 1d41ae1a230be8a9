/** `runnel stop`: ends the running gateway in good order, and says what it waits for. */
import type { Remaining } from '../../gateway/control/protocol.ts';
import { systemCode } from '../../ops/system-errors.ts';
import { visibleLines } from '../../ops/visible.ts';
import { EXIT, UsageError, type Verb } from '../verb.ts';
import {
  Conversation,
  chosenGateway,
  describe,
  gatewayFlags,
  NotFound,
  type RunningGateway,
  startTime,
} from './find.ts';
import { timeFlag, within } from './time.ts';

/** What a gateway takes at most when it waits for nothing more: its programs have 5 s to end, and the kernel 2; the rest is for a slow board. */
const ENDING = 20_000;
/** How often the same is told once more, milliseconds. */
const TELL_AGAIN = 5000;
/** How often is looked whether the process is gone, milliseconds. */
const LOOK = 50;

export const stop: Verb = {
  name: 'stop',
  usage: 'runnel stop [-c FILE] [--now]',
  brief: 'stop the running gateway',
  doc: `Stops the running gateway: it accepts no new connections, finishes the requests under way, ends its programs and exits. The command
prints what the gateway still waits for, and returns when the process has ended.

The exit status is 69 if no gateway is running, 77 if it is another user's, 75 if it does not end. A gateway that a service manager
has started may be started again by that: "systemctl stop runnel" does both.`,
  flags: {
    ...gatewayFlags,
    timeout: timeFlag(
      'how long what is under way may take, instead of stop_timeout of the configuration; then it is cut',
    ),
    now: { doc: 'cut what is under way, also when the gateway is stopping already' },
  },
  words: 'none',
  async run(line) {
    const { timeout, now } = line.flags;
    if (timeout !== undefined && now !== undefined) throw new UsageError('--timeout and --now cannot be set together');
    const patience = now !== undefined ? 0 : timeout === undefined ? undefined : within(timeout);
    try {
      return await end(await chosenGateway(line), patience);
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
      process.stderr.write(`${visibleLines(error.message)}\n`);
      return error.code;
    }
  },
};

async function end({ identity, path }: RunningGateway, patience: number | undefined): Promise<number> {
  const { pid } = identity;
  const began = startTime(pid);
  const conversation = new Conversation(path);
  const silence = new Silence(() => conversation.close());
  let told = { words: '', at: 0 };
  let asked = false;
  try {
    const request = { do: 'stop' as const, ...(patience === undefined ? {} : { within: patience }) };
    for await (const reply of conversation.replies(request)) {
      silence.heard();
      asked = true;
      if ('refused' in reply) throw new NotFound(String(reply['refused']), EXIT.unavailable);
      if (!('remaining' in reply)) continue;
      const { left } = reply;
      const words = inWords(reply['remaining'] as Remaining);
      if (words === told.words && performance.now() - told.at < TELL_AGAIN) continue;
      const most = typeof left === 'number' && left > 0 ? `; ${Math.ceil(left / 1000)} s at most` : '';
      process.stdout.write(`waiting for ${words}${most}\n`);
      told = { words, at: performance.now() };
    }
  } catch (error) {
    // A gateway that ends may close the connection in any way.
    if (systemCode(error) === undefined) throw error;
  } finally {
    silence.end();
    conversation.close();
  }
  const deadline = performance.now() + ENDING;
  while (began !== undefined && startTime(pid) === began && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  if (began === undefined || startTime(pid) !== began) {
    process.stdout.write(`stopped: ${describe(identity)}\n`);
    return EXIT.ok;
  }
  const what = asked ? 'was told to stop and has not ended' : 'did not answer';
  process.stderr.write(`${describe(identity)} ${what}: "kill -KILL ${pid}" ends it, and its programs with it\n`);
  return EXIT.late;
}

/** Ends a conversation in which nothing is said any more: the gateway tells every second how it goes. */
class Silence {
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly over: () => void) {
    this.heard();
  }

  heard(): void {
    this.end();
    this.timer = setTimeout(this.over, ENDING);
  }

  end(): void {
    clearTimeout(this.timer);
  }
}

/** "2 requests or WebSockets under way, 3 connections, 1 program". */
function inWords({ connections, requests, programs }: Remaining): string {
  const parts = [
    requests === 0 ? '' : `${count(requests, 'request')} or WebSocket${requests === 1 ? '' : 's'} under way`,
    connections === 0 ? '' : count(connections, 'connection'),
    programs === 0 ? '' : count(programs, 'program'),
  ].filter((part) => part !== '');
  return parts.length === 0 ? 'the end' : parts.join(', ');
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
