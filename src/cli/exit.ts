/** Exit codes, after sysexits(3) where it has one. */
export const EXIT = {
  ok: 0,
  /** The configuration is wrong. The unit does not start the service again after this one and the next (RestartPreventExitStatus=). */
  config: 1,
  /** The command line is wrong. */
  usage: 2,
  /** A mistake of ours. */
  internal: 70,
  /** The system refused: an address in use, no such address. */
  system: 71,
  /** The system refused for want of permission. */
  cannotCreate: 73,
} as const;
