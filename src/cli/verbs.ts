/** Every verb, in the order of the help. They bring the whole gateway along. */
import { check } from './check/check.ts';
import { connect } from './connect/connect.ts';
import { hashPassword } from './hash-password.ts';
import { init } from './init/init.ts';
import { files } from './one-line/files.ts';
import { run } from './run.ts';
import { schema } from './schema.ts';
import { serve } from './serve.ts';
import { tls } from './tls/tls.ts';
import { token } from './token.ts';
import type { Verb } from './verb.ts';
import { version } from './version.ts';
import { websocketd } from './websocketd/websocketd.ts';

export { serve, version };

export const VERBS: readonly Verb[] = [
  serve,
  check,
  init,
  run,
  files,
  connect,
  websocketd,
  tls,
  hashPassword,
  token,
  schema,
  version,
];
