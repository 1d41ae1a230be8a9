/** What is counted of histories on the disk. */
import { label, openLabel } from './family.ts';
import { counter, gauge } from './tally.ts';

const STREAM = openLabel('route', 'The key of the stream as configured');

export class HistoryTallies {
  readonly bytes = gauge({
    name: 'runnel_history_bytes',
    help: 'Bytes of a history on the disk.',
    labels: [STREAM],
  });
  readonly messages = gauge({
    name: 'runnel_history_messages',
    help: 'Messages of a history on the disk.',
    labels: [STREAM],
  });
  readonly keeping = gauge({
    name: 'runnel_history_keeping',
    help: 'Whether the messages of a stream are kept on the disk: 0 while that does not take them.',
    labels: [STREAM],
  });
  readonly writes = counter({
    name: 'runnel_history_writes_total',
    help: 'Writes to the files of a history.',
    labels: [STREAM],
  });
  readonly syncs = counter({
    name: 'runnel_history_syncs_total',
    help: 'Times that a history waited for the disk to say that everything is on it (fdatasync).',
    labels: [STREAM],
  });
  readonly errors = counter({
    name: 'runnel_history_errors_total',
    help: 'What went wrong with a history on the disk.',
    labels: [
      STREAM,
      label('reason', 'What', {
        full: 'the disk is full',
        slow: 'the disk takes less than the stream says',
        damaged: 'a part of the files cannot be read: what was in it is lost',
        failed: 'a file cannot be written or read for another reason; the log has it',
      }),
    ],
  });
}
