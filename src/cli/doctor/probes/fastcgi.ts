/** FastCGI applications: whether what listens there speaks FastCGI, and has somebody free to answer. That something listens is `upstreams.ts`. */
import type { Socket } from 'node:net';
import { everyRoute } from '../../../gateway/config.ts';
import { getValues, isFastcgi } from '../../../handlers/fastcgi/records.ts';
import { ConnectError, Connector } from '../../../upstream/connecting.ts';
import type { Finding, Patient } from '../finding.ts';
import { isRemote } from './upstreams.ts';

/** Milliseconds: for the connection, and for the answer. */
const PATIENCE = 4000;

type Answer = 'fastcgi' | 'something else' | 'nothing' | 'closed';

export async function probeFastcgi(
  { config }: Pick<Patient, 'config'>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const found = await Promise.all(
    everyRoute(config).map(async ({ kind, key, route }): Promise<readonly Finding[]> => {
      const remote: unknown = Reflect.get(route, 'connect');
      if (kind.name !== 'fastcgi' || !isRemote(remote)) return [];
      const about = `fastcgi."${key}".connect`;
      try {
        const connection = await new Connector({ remote, timeout: PATIENCE }).connect(signal);
        const socket = connection.take();
        return socket === undefined ? [] : explain(about, remote.text, await ask(socket, signal));
      } catch (error) {
        if (error instanceof ConnectError) return [];
        throw error;
      }
    }),
  );
  return found.flat();
}

/** Asks which limits it has (FastCGI 1.0, section 4.1), which starts nothing there. */
function ask(socket: Socket, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve) => {
    const done = (answer: Answer): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => done('nothing'), PATIENCE);
    signal.addEventListener('abort', () => done('nothing'), { once: true });
    socket.on('error', () => done('closed'));
    socket.on('close', () => done('closed'));
    socket.on('data', (bytes: Buffer) => done(isFastcgi(bytes) ? 'fastcgi' : 'something else'));
    socket.resume();
    socket.write(getValues());
  });
}

function explain(about: string, where: string, answer: Answer): readonly Finding[] {
  if (answer === 'fastcgi') return [];
  if (answer === 'nothing')
    return [
      {
        ...{ level: 'warning', about },
        seen: `${where} takes connections, and has not answered within ${PATIENCE / 1000} s`,
        matters: 'requests for this route wait as long, and fail with 504',
        remedy:
          'see whether all of its workers are busy or stuck (php-fpm: pm.max_children, its slow log), and whether it is a FastCGI application at all',
      },
    ];
  return [
    {
      ...{ level: 'problem', about },
      seen: `what listens on ${where} does not speak FastCGI${answer === 'closed' ? ': it closes the connection' : ''}`,
      matters: 'requests for this route get 502',
      remedy:
        'see which program has that address ("ss -ltnpx" as root); an HTTP server is reached with [proxy] instead, and php-fpm lists who may connect in listen.allowed_clients',
    },
  ];
}
