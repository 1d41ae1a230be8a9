/** `runnel status`: what the running gateway does, for a terminal or as JSON; its exit code is a health check. */
import { existsSync, readFileSync } from 'node:fs';
import type { GatewayStatus } from '../../ops/status.ts';
import { systemCode } from '../../ops/system-errors.ts';
import { VERSION } from '../../ops/version.ts';
import { visible, visibleJson, visibleLines } from '../../ops/visible.ts';
import { USUAL_FILES } from '../serve.ts';
import { type CommandLine, EXIT, UsageError, type Verb } from '../verb.ts';
import { Conversation, chosenGateway, describe, gatewayFlags, NotFound } from './find.ts';
import { adminAddress, askGateway, NoGateway } from './gateway.ts';
import { statusText, type TextOptions } from './status-text.ts';

/** It runs and is ready; it is not, or there is none. Of a wrong command line the code is `EXIT.usage`. */
const NOT_READY = 1;
/** Milliseconds that a gateway that was found has for its answer. */
const PATIENCE = 5000;

/** What proves who asks, where `[admin] auth` wants it. */
export const credentialFlags = {
  'token-file': { value: 'FILE', doc: 'prove who you are by the bearer token that is in FILE' },
  user: { value: 'NAME', doc: 'or by this name, with --password-file' },
  'password-file': { value: 'FILE', doc: 'the password of --user is in FILE' },
} as const;

export const status: Verb = {
  name: 'status',
  usage: 'runnel status [-c FILE] [--json]',
  brief: 'show what the running gateway does',
  doc: `Asks the gateway that runs with this configuration what it does: listeners, routes, streams, programs, memory, errors. It is
found by [admin] listen of the file, an address or a Unix socket. Without it, and for its own user and root also where that
asks for a password, it is found as by "runnel reload".

Exits with 0 where the gateway is ready, with 1 where it is not or does not answer, and with 2 for a wrong command line.`,
  flags: {
    ...gatewayFlags,
    json: { doc: 'print everything as JSON, as /status.json has it' },
    quiet: { short: 'q', doc: 'print nothing: only the exit code tells' },
    ...credentialFlags,
  },
  words: 'none',
  async run(line) {
    const { json, quiet } = line.flags;
    const authorization = authorizationOf(line.flags);
    try {
      const { body, from } = await statusOf(line, authorization);
      const found = parseStatus(body);
      if (found === undefined) throw new NoGateway(`${from} does not answer as a runnel with a status`);
      if (json !== undefined) process.stdout.write(`${visibleJson(JSON.parse(body))}\n`);
      else if (quiet === undefined) {
        const { stdout } = process;
        const colour = stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
        // Into a pipe or a file whole lines go, however long they are.
        process.stdout.write(textOf(found, { colour, width: stdout.columns ?? Number.POSITIVE_INFINITY }, from));
      }
      return found.ready ? EXIT.ok : NOT_READY;
    } catch (error) {
      if (!(error instanceof NoGateway)) throw error;
      if (quiet === undefined) process.stderr.write(`${visibleLines(error.message)}\n`);
      return NOT_READY;
    }
  },
};

interface StatusAnswer {
  /** JSON. */
  readonly body: string;
  /** Who has answered, for people. */
  readonly from: string;
}

/** By the operator's own listener, or by the control socket. Rejects with a `NoGateway` that says why neither does. */
async function statusOf({ flags }: CommandLine, authorization: string | undefined): Promise<StatusAnswer> {
  const { config, pid } = flags;
  const file = config ?? (pid === undefined ? USUAL_FILES.find((usual) => existsSync(usual)) : undefined);
  if (file === undefined || pid !== undefined) return await statusOfControlled(flags);
  let why: NoGateway;
  try {
    const address = adminAddress(file);
    if (address === undefined) return await statusOfControlled({ config: file });
    const { status: code, body } = await askGateway(address, { method: 'GET', path: '/status.json', authorization });
    if (code === 200) return { body, from: address.text };
    why = new NoGateway(`${address.text} ${refusal(code)}`);
    // Who says who he is wants to know whether that is believed.
    if (authorization !== undefined) throw why;
  } catch (error) {
    if (!(error instanceof NoGateway) || error instanceof NotControlled || authorization !== undefined) throw error;
    why = error;
  }
  // It may run with what the file has said before.
  return await statusOfControlled({ config: file }).catch(() => Promise.reject(why));
}

/** No gateway can be had by its control socket. */
class NotControlled extends NoGateway {}

async function statusOfControlled(flags: CommandLine['flags']): Promise<StatusAnswer> {
  try {
    const { identity, path } = await chosenGateway({ flags });
    const from = describe(identity);
    const conversation = new Conversation(path);
    const late = setTimeout(() => conversation.close(), PATIENCE);
    try {
      for await (const reply of conversation.replies({ do: 'status' })) {
        if ('status' in reply) return { body: JSON.stringify({ ...Object(reply['status']), actions: false }), from };
        if ('refused' in reply) throw new NotControlled(`${from}: ${String(reply['refused'])}`);
      }
    } finally {
      clearTimeout(late);
      conversation.close();
    }
    throw new NotControlled(`${from} has not answered within ${PATIENCE / 1000} s`);
  } catch (error) {
    if (error instanceof NotFound) throw new NotControlled(error.message);
    const code = systemCode(error);
    throw code === undefined ? error : new NotControlled(`the gateway closed the connection (${code})`);
  }
}

/** The value of the field Authorization; undefined where nothing is to be proved. Throws a `UsageError`. */
export function authorizationOf(flags: { readonly [name: string]: string | undefined }): string | undefined {
  const { 'token-file': token, user, 'password-file': password } = flags;
  if (token !== undefined && user !== undefined) throw new UsageError('either --token-file or --user, not both');
  if ((user === undefined) !== (password === undefined)) throw new UsageError('--user and --password-file go together');
  if (token !== undefined) return `Bearer ${secretOf(token)}`;
  if (user === undefined || password === undefined) return undefined;
  return `Basic ${Buffer.from(`${user}:${secretOf(password)}`).toString('base64')}`;
}

/** The first line of a file. */
function secretOf(file: string): string {
  if (!existsSync(file)) throw new UsageError(`${file} does not exist`);
  return readFileSync(file, 'utf8').split('\n', 1)[0]?.trim() ?? '';
}

function refusal(status: number): string {
  if (status === 401)
    return 'asks who you are ([admin] auth): use --token-file FILE, or --user NAME and --password-file FILE';
  if (status === 421) return 'does not answer for this host; has its address changed?';
  return `answered with the status ${status}`;
}

function parseStatus(text: string): GatewayStatus | undefined {
  try {
    // Whoever listens there may have written anything: a terminal finds nothing to obey in it.
    const value: unknown = JSON.parse(text, (_key, of: unknown) => (typeof of === 'string' ? visible(of) : of));
    const isStatus = typeof value === 'object' && value !== null && 'ready' in value && 'listeners' in value;
    return isStatus ? (value as GatewayStatus) : undefined;
  } catch {
    return undefined;
  }
}

/** Throws a `NoGateway` where the gateway is of a version that tells it otherwise. */
function textOf(found: GatewayStatus, options: TextOptions, address: string): string {
  try {
    return statusText(found, options);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new NoGateway(
      `${address}: runnel ${VERSION} cannot show the status of runnel ${String(found.version)}; --json prints it as it is`,
    );
  }
}
