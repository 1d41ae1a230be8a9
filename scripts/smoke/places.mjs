// Where the executables are tried: this machine, other processors in qemu's user mode, and roots with little else in them.
import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A place: the executable that is for it; how often it may be tried; `prepare` makes what has to be there in the place's own folder; `command` gives
 * the command line that runs `program` there; `inside` is a path of the folder as the programs in that place see it.
 */
export const PLACES = {
  x64: here('dist/runnel-linux-x64', []),
  // Programs that it starts are this machine's own: qemu hands execve(2) to the kernel.
  // Now and then such a gateway hangs in qemu 7.2 after a fork of its threads; one that fails gets a second try.
  arm64: here('dist/runnel-linux-arm64', ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu']),
  armv7l: here('dist/runnel-linux-armv7l', ['qemu-arm-static', '-L', '/usr/arm-linux-gnueabihf']),
  // Only the C and C++ libraries, and a busybox for the demo's scripts.
  bookworm: root('bookworm'),
  trixie: root('trixie'),
};

function here(executable, emulator) {
  return {
    executable,
    tries: emulator.length === 0 ? 1 : 3,
    prepare() {},
    inside: (folder, path) => join(folder, path),
    command: (_folder, program) => [...emulator, program],
  };
}

function root(suite) {
  return {
    executable: 'dist/runnel-linux-x64',
    tries: 1,
    prepare(folder) {
      const packages = ['libc6', 'libstdc++6', 'libgcc-s1', 'busybox-static'];
      execFileSync('scripts/debian-root.sh', [suite, folder, ...packages], { stdio: ['ignore', 'ignore', 'inherit'] });
      for (const program of ['sh', 'cat', 'sleep']) symlinkSync('busybox', join(folder, 'bin', program));
    },
    inside: (_folder, path) => `/${path}`,
    // In a mount namespace of its own, so that its /proc and /dev go away with it.
    command: (folder, program) => [
      ...['unshare', '--mount', '--propagation=private', 'sh', '-c'],
      ...[
        'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && shift && exec chroot "$@"',
        'sh',
        folder,
        folder,
        program,
      ],
    ],
  };
}
