/** Every verb by its name, in the order of the help. Each is loaded when it is called: what the others need would only delay its start. */
import type { Verb } from './verb.ts';

export const VERBS: ReadonlyMap<string, () => Promise<Verb>> = new Map<string, () => Promise<Verb>>([
  ['serve', async () => (await import('./serve.ts')).serve],
  ['check', async () => (await import('./check/check.ts')).check],
  ['status', async () => (await import('./running/status.ts')).status],
  ['reload', async () => (await import('./running/reload.ts')).reload],
  ['stop', async () => (await import('./running/stop.ts')).stop],
  ['doctor', async () => (await import('./doctor/doctor.ts')).doctor],
  ['init', async () => (await import('./init/init.ts')).init],
  ['run', async () => (await import('./run.ts')).run],
  ['files', async () => (await import('./one-line/files.ts')).files],
  ['connect', async () => (await import('./connect/connect.ts')).connect],
  ['websocketd', async () => (await import('./websocketd/websocketd.ts')).websocketd],
  ['tls', async () => (await import('./tls/tls.ts')).tls],
  ['hash-password', async () => (await import('./credentials/hash-password.ts')).hashPassword],
  ['token', async () => (await import('./credentials/token.ts')).token],
  ['schema', async () => (await import('./printing/schema.ts')).schema],
  ['completion', async () => (await import('./printing/completion/completion.ts')).completion],
  ['version', async () => (await import('./printing/version.ts')).version],
]);
