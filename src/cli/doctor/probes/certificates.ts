/** Certificates that end soon, and names that none of them is for. What is wrong with one by itself `check` has said. */
import { parseCertificates } from '../../../tls/chain.ts';
import { day, validity } from '../../../tls/identity.ts';
import { covers, namesOf, titleOf } from '../../../tls/names.ts';
import { readTlsFile } from '../../../tls/tls-file.ts';
import type { Finding, Patient } from '../finding.ts';

const DAY = 86_400_000;
/** Short-lived ones are renewed later: a certificate is near its end when less than a quarter of its time is left, and less than this. */
const SOON = 21 * DAY;

export function probeCertificates({ config, now }: Patient): readonly Finding[] {
  return config.listen.flatMap(({ address, tls, hosts }): readonly Finding[] => {
    if (tls === undefined || tls.made !== undefined) return [];
    const about = `listen "${address.text}".tls`;
    const files = [tls.certificate, ...tls.certificates.map(({ certificate }) => certificate)];
    const chains = files.map((path) => parseCertificates(readTlsFile(path, 'certificate'), path, 'certificate'));
    const ending = chains.flatMap((chain, index) =>
      chain.flatMap((certificate): readonly Finding[] => {
        const { from, to } = validity(certificate);
        const left = to - now;
        if (left <= 0 || left > Math.min(SOON, (to - from) / 4)) return [];
        return [
          {
            level: 'warning',
            about,
            seen: `${titleOf(certificate)} in ${files[index]} ends on ${day(to)}, in ${Math.floor(left / DAY)} days`,
            matters: 'clients refuse it from then on',
            remedy:
              'renew it, and see why that has not happened by itself ("systemctl list-timers"); the gateway takes new files within 5 s',
          },
        ];
      }),
    );
    const names = chains.flatMap((chain) => chain.flatMap((each) => (each.ca ? [] : namesOf(each))));
    const missing = hosts.filter((host) => host !== '*' && !names.some((name) => name === host || covers(name, host)));
    if (missing.length === 0) return ending;
    return [
      ...ending,
      {
        level: 'warning',
        about,
        seen: `no certificate is for ${missing.join(', ')}, which "hosts" names; they are for ${names.join(', ')}`,
        matters: 'browsers show a warning instead of the page',
        remedy: 'get a certificate with these names, or take them out of hosts',
      },
    ];
  });
}
