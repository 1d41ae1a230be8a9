/** Whether the addresses of the configuration can be listened on, and who has those that cannot. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { systemCode } from '../../../ops/system-errors.ts';
import { wordsOf } from '../../service-unit.ts';
import type { Finding, Patient } from '../finding.ts';

export async function probePorts(patient: Patient): Promise<readonly Finding[]> {
  const { config, pid } = patient;
  // They are its own.
  if (pid !== undefined) return [];
  const addresses = [
    ...config.listen.map(({ address }) => ({ key: 'listen', address })),
    ...(config.admin === undefined ? [] : [{ key: 'admin.listen', address: config.admin.listen }]),
  ];
  const findings: Finding[] = [];
  for (const { key, address } of addresses) {
    if (address.kind !== 'tcp' || address.port === 0) continue;
    const code = await whyNot(address.host, address.port);
    if (code === undefined) continue;
    const finding = explain(patient, `${key} "${address.text}"`, address.port, code);
    if (finding !== undefined) findings.push(finding);
  }
  return findings;
}

/** Listens for a moment. */
async function whyNot(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    const listening = once(server, 'listening');
    server.listen({ host, port, exclusive: true });
    await listening;
    return undefined;
  } catch (error) {
    return systemCode(error) ?? String(error);
  } finally {
    server.close();
  }
}

function explain({ taken, unit }: Patient, about: string, port: number, code: string): Finding | undefined {
  const matters = 'the gateway does not start';
  if (code === 'EADDRINUSE') {
    const holder = taken.find((each) => each.port === port)?.program;
    return {
      ...{ level: 'problem', about, matters },
      seen: `port ${port} is taken by ${holder === undefined ? 'a program that this user may not see' : `"${holder}"`}`,
      remedy: `stop it, or choose another port; "ss -ltnp sport = :${port}" as root shows the process`,
    };
  }
  if (code === 'EACCES' || code === 'EPERM') {
    if (unit !== undefined && wordsOf(unit, 'AmbientCapabilities').includes('CAP_NET_BIND_SERVICE')) return undefined;
    return {
      ...{ level: 'problem', about, matters },
      seen: `this user may not listen on port ${port}`,
      remedy:
        'give the service the right (AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit, or "setcap cap_net_bind_service=+ep" on the executable), let systemd open the socket, or choose a port from 1024 on',
    };
  }
  if (code === 'EADDRNOTAVAIL')
    return {
      ...{ level: 'problem', about, matters },
      seen: 'this machine does not have that address now',
      remedy:
        'see "ip addr"; where the address comes late, listen on ":PORT", or let the unit wait for network-online.target',
    };
  return {
    ...{ level: 'problem', about, matters },
    seen: `the system refuses it (${code})`,
    remedy: 'see the system log',
  };
}
