/** `publish`: a stream without a program, which says what its clients send. */
import { usualHistory, usualReplay } from '../../plan.ts';
import type { SourceKind } from '../kind.ts';
import { publishChecks } from './checks.ts';
import { PublishRequests } from './requests.ts';

export const publishKind: SourceKind = {
  name: 'publish',
  checks: publishChecks,
  usualShare: 'all',
  overrun: 'you send too fast',
  away: 'the stream has not begun',
  runsAlways: true,
  takesPictures: true,
  isMixed: () => true,
  usualReplay,
  usualHistory,
  // What was acknowledged is there.
  usualSync: 'message',
  shared(parts) {
    const { publish } = parts.config;
    if (publish === undefined) throw new TypeError(`stream "${parts.key}" is not published to`);
    return new PublishRequests(parts, {
      idleTimeout: publish.idle_timeout,
      maxWriters: publish.max_writers,
      rememberIds: publish.remember_ids,
    });
  },
};
