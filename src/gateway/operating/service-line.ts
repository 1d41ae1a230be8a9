/** The line that systemd shows of the gateway (`systemctl status`): where it listens, how many streams it has, and how many clients they have. */
import type { Tallies } from '../../ops/tallies.ts';
import { viewersOf } from './counted.ts';

/**
 * @param addresses the listeners of clients, as the log names them
 * @param streams how many streams are configured
 * @param failure why the last reload failed, where it did
 */
export function serviceLine(
  addresses: readonly string[],
  streams: number,
  tallies: Pick<Tallies, 'clients'>,
  failure: string | undefined,
): string {
  const parts = [addresses.join(', ')];
  if (streams > 0) parts.push(`${count(streams, 'stream')}, ${count(viewersOf(tallies), 'client')}`);
  if (failure !== undefined) parts.push(`the last reload failed: ${failure}`);
  return parts.join('; ');
}

function count(number: number, name: string): string {
  return `${number} ${name}${number === 1 ? '' : 's'}`;
}
