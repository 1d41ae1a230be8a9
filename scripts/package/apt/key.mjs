// The key that signs the repository: it comes from outside, lives in a folder of its own as long as it is needed, and is on no command line.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * Reads the secret key that the environment names. Answers with its fingerprint, its armoured public part, `sign(text)`, which answers with
 * the two signatures that apt knows, `fingerprintOf(publicKey)` of another key, and `close()`, after which nothing of it is left.
 */
export function openKey({ RUNNEL_APT_KEY: text, RUNNEL_APT_KEY_FILE: file, RUNNEL_APT_PASSPHRASE_FILE: passphrase }) {
  if ((text === undefined) === (file === undefined))
    throw new Error(
      'name the key by RUNNEL_APT_KEY_FILE (a file) or RUNNEL_APT_KEY (its text); deploy/apt/README.md says how to make one',
    );
  const home = mkdtempSync(join(tmpdir(), 'runnel-key-'));
  const close = () => {
    // The agent of this folder alone. It would end by itself when its folder is gone, a while later.
    spawnSync('gpgconf', ['--homedir', home, '--kill', 'gpg-agent'], { stdio: 'ignore' });
    rmSync(home, { recursive: true, force: true });
  };
  try {
    chmodSync(home, 0o700);
    gpg(home, ['--import'], text ?? readFileSync(file, 'utf8'));
    const fingerprint = onlyKey(gpg(home, ['--with-colons', '--list-secret-keys']));
    const secret =
      passphrase === undefined ? [] : ['--pinentry-mode', 'loopback', '--passphrase-file', resolve(passphrase)];
    const signing = [...secret, '--local-user', fingerprint, '--digest-algo', 'SHA512', '--armor'];
    return {
      fingerprint,
      publicKey: gpg(home, ['--armor', '--export-options', 'export-minimal', '--export', fingerprint]),
      sign: (release) => ({
        clear: gpg(home, [...signing, '--clear-sign'], release),
        detached: gpg(home, [...signing, '--detach-sign'], release),
      }),
      fingerprintOf: (publicKey) =>
        /^fpr:+([0-9A-F]+):/m.exec(gpg(home, ['--with-colons', '--show-keys'], publicKey))?.[1],
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function gpg(home, args, input = '') {
  const all = ['--homedir', home, '--batch', '--no-tty', '--quiet', ...args];
  const { error, status, stdout, stderr } = spawnSync('gpg', all, { input, encoding: 'utf8', maxBuffer: 1 << 24 });
  if (error?.code === 'ENOENT') throw new Error('gpg is not installed (Debian: gpg and gpg-agent)');
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`gpg refused it: ${stderr.trim()}`);
  return stdout;
}

/** The fingerprint of the one key in a listing. With two it would be chance which one signs. */
function onlyKey(listing) {
  const fingerprints = [...listing.matchAll(/^sec:[\s\S]*?^fpr:+([0-9A-F]+):/gm)].map(([, fingerprint]) => fingerprint);
  if (fingerprints.length !== 1)
    throw new Error(`there has to be one secret key, and there are ${fingerprints.length}`);
  return fingerprints[0];
}
