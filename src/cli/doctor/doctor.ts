/** `runnel doctor`: what around the configuration may hurt, and what to do about it. */
import { resolve } from 'node:path';
import { takenPorts } from '../../ops/system/ports.ts';
import { visible } from '../../ops/visible.ts';
import { becomeCheckedUser, serviceOf } from '../check/checked-user.ts';
import { runningGateways } from '../running/find.ts';
import { configFile, configFlag, problemCount, reread } from '../serve.ts';
import { EXIT, UsageError, type Verb } from '../verb.ts';
import { examine, type Finding, type Patient, type Probe } from './finding.ts';
import { probeCertificates } from './probes/certificates.ts';
import { probeFastcgi } from './probes/fastcgi.ts';
import { probeHelpers } from './probes/helpers.ts';
import { probeClock, probeDescriptors, probeKernel, probeMemory, probeTimeZone } from './probes/machine.ts';
import { probePorts } from './probes/ports.ts';
import { probePrograms } from './probes/programs.ts';
import { probePublicCompression } from './probes/public-compression.ts';
import { probePublicUrl } from './probes/public-url.ts';
import { probeSecrets } from './probes/secrets.ts';
import { probeStorage, probeWriting } from './probes/storage.ts';
import { probeUpstreams } from './probes/upstreams.ts';

/** Milliseconds that one look may take. */
const PATIENCE = 15_000;

export const doctor: Verb = {
  name: 'doctor',
  usage: 'runnel doctor [-c FILE] [--url URL]',
  brief: 'look for problems of the machine and the network',
  doc: `Looks at this machine and at the servers that the configuration names: ports, rights, the clock, certificates, open files, memory,
disks, names, upstreams. Each finding says what was seen, why it matters and what to do. It changes nothing, and ends within 15 s.
What is wrong with the file itself "runnel check" says: that is done first, and has to be right.

The exit status is 0 if nothing was found, and 1 otherwise.`,
  flags: {
    config: configFlag,
    url: {
      value: 'URL',
      doc: 'where clients find the gateway: whether events, WebSockets and answers come through from there',
    },
    'run-programs': { doc: 'run the programs of streams for some seconds, to see whether they hold their output back' },
    json: { doc: 'print the findings as JSON' },
  },
  words: 'none',
  async run(line) {
    const { flags } = line;
    const { url } = flags;
    if (url !== undefined && !(URL.canParse(url) && /^https?:/.test(url)))
      throw new UsageError(`--url must be an address such as "https://board.example.org/" (got "${url}")`);
    const file = configFile(line);
    if (file === undefined) return EXIT.config;
    // Before the rights of another user are taken, who sees less.
    const [taken, running, unit] = [takenPorts(), await runningGateways(), serviceOf(file)];
    const user = becomeCheckedUser(file, undefined);
    const read = reread(file, user.surroundings, user.system);
    if (!read.ok) {
      for (const problem of read.problems) process.stderr.write(`${visible(problem)}\n`);
      process.stderr.write(`${problemCount(read.problems)}, checked as ${user.name}: nothing else was looked at\n`);
      return EXIT.config;
    }
    const path = resolve(file);
    const pid = running.gateways.find(({ identity }) => identity.config === path)?.identity.pid;
    const patient: Patient = { config: read.config, file: path, pid, taken, unit, now: Date.now() };
    const findings = await examine(patient, probesFor(url, flags['run-programs'] !== undefined), PATIENCE);
    process.stdout.write(
      flags['json'] === undefined
        ? forPeople(findings, read.doubts.length, user.name)
        : `${JSON.stringify({ config: path, pid, checkWarnings: read.doubts, findings }, undefined, 2)}\n`,
    );
    return findings.length === 0 ? EXIT.ok : EXIT.config;
  },
};

function probesFor(url: string | undefined, runPrograms: boolean): { readonly [name: string]: Probe } {
  return {
    ports: probePorts,
    certificates: probeCertificates,
    secrets: (patient) => probeSecrets(patient),
    clock: (patient) => probeClock(patient),
    'time zone': () => probeTimeZone(),
    descriptors: (patient) => probeDescriptors(patient),
    memory: (patient) => probeMemory(patient),
    kernel: () => probeKernel(),
    helpers: (patient) => probeHelpers(patient),
    storage: (patient) => probeStorage(patient),
    writing: () => probeWriting(),
    upstreams: probeUpstreams,
    fastcgi: probeFastcgi,
    ...(runPrograms ? { programs: probePrograms } : {}),
    ...(url === undefined
      ? {}
      : {
          url: (_patient: Patient, signal: AbortSignal) => probePublicUrl(url, signal),
          compression: (patient: Patient, signal: AbortSignal) => probePublicCompression(url, patient, signal),
        }),
  };
}

function forPeople(findings: readonly Finding[], doubts: number, user: string): string {
  const lines = findings.flatMap(({ level, about, seen, matters, remedy }) => [
    `${level}: ${visible(about)}: ${visible(seen)}`,
    `  why: ${visible(matters)}`,
    `  do:  ${visible(remedy)}`,
  ]);
  const more = doubts === 0 ? '' : `; "runnel check" has ${doubts} warning${doubts === 1 ? '' : 's'} about the file`;
  const count =
    findings.length === 0 ? 'nothing found' : `${findings.length} finding${findings.length === 1 ? '' : 's'}`;
  return `${[...lines, `${count}, looked at as ${user}${more}`].join('\n')}\n`;
}
