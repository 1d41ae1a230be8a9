/** Where programs are looked for when the gateway itself has no PATH, as an init script may start it: the shell's own default, sbin included. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
