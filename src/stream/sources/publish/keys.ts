/** The key of a stream that takes what anybody publishes, and its table. */
import { auth } from '../../../config/keys/policies.ts';
import { originPattern } from '../../../config/values/names.ts';
import { duration, integer } from '../../../config/values/simple.ts';
import { listOf, shortOr, table } from '../../../config/values/tables.ts';
import { optional, preset, type ValueType } from '../../../config/values/value.ts';

/** Without the key there is no publishing, so `false` would say nothing. */
const yes: ValueType<true> = {
  expected: 'true',
  json: { enum: [true] },
  read(value, at, reading) {
    if (value === true) return true;
    reading.wrong(at, value, 'true, or a table with rules for writing');
    return undefined;
  },
};

const publishing = table({
  auth: optional(
    auth,
    'The users who may write. It replaces the `auth` of the route and of [defaults], which is for reading. By default all readers may write. A WebSocket needs both.',
  ),
  origins: optional(
    listOf(originPattern, 'origins'),
    'Other origins whose pages may write. The default is `cors.origins` of the route; an empty list means none.',
  ),
  idle_timeout: preset(
    duration('1s', '30d'),
    '10m',
    'How long a live writer may send nothing before it gets 408. A writer whose connection is dead is noticed after this time.',
  ),
  max_writers: preset(
    integer({ min: 1, max: 10_000 }),
    16,
    'How many live writers there may be at once. Further ones get 503.',
  ),
  remember_ids: preset(
    integer({ min: 0, max: 1_000_000 }),
    10_000,
    'How many ids of writers (?id=) are remembered, so that a message that is sent again is published once. The oldest is forgotten first, all of them with a restart. Each takes 200 to 300 bytes.',
  ),
});

export const publishKeys = {
  publish: optional(
    shortOr(yes, publishing, () => ({})),
    'A stream without a program: all clients get the messages that one client sends. A POST is one message. Each line in the body of a PUT is a message as it arrives. `true`: all readers may write. A table sets rules for writing.',
  ),
} as const;
