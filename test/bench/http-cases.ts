/** CGI starts a second and static files, under load by wrk. */
import { type BenchCase, column, running } from './case.ts';
import {
  bareFile,
  bareFileTls,
  lighttpd,
  lighttpdTls,
  nginx,
  nginxFcgiwrap,
  nginxTls,
  type Peer,
  runnel,
  websocketdCgi,
} from './peers.ts';
import { cpuOf } from './proc.ts';
import { wrk } from './wrk.ts';

export interface HttpCase {
  readonly name: string;
  readonly title: string;
  readonly connections: number;
  readonly path: string;
  readonly peers: readonly Peer[];
  readonly needs?: readonly string[];
}

const OURS = [runnel('uws'), runnel('node')];
const CGI_PEERS = [...OURS, lighttpd, websocketdCgi, nginxFcgiwrap];
const FILE_PEERS = [...OURS, lighttpd, nginx];

/** websocketd has its CGI folder at the root. */
function pathFor(peer: Peer, path: string): string {
  return peer === websocketdCgi ? path.replace('/cgi-bin', '') : path;
}

/** Answers a second, and what each costs. */
export function httpCase({ name, title, connections, path, peers, needs = [] }: HttpCase): BenchCase {
  return {
    name,
    title,
    needs: ['wrk', ...needs],
    columns: [
      column('answers/s', 0),
      column('p50 ms', 2),
      column('p99 ms', 2),
      column('server CPU µs each', 1),
      column('programs µs each', 0, false),
      column('client CPU %', 0, false),
    ],
    peers,
    async measure(peer, service, { seconds }) {
      const { port, processes } = running(service);
      const url = `${peer.secure ? 'https' : 'http'}://127.0.0.1:${port}${pathFor(peer, path)}`;
      await wrk(url, connections, 1);
      const before = cpuOf(processes());
      const load = await wrk(url, connections, seconds);
      const after = cpuOf(processes());
      const each = (spent: number): number => (spent / (load.rate * seconds)) * 1e6;
      const programs = each(after.programs - before.programs);
      return [load.rate, load.p50, load.p99, each(after.own - before.own), programs || Number.NaN, load.share * 100];
    },
  };
}

export const httpCases: readonly BenchCase[] = [
  httpCase({
    name: 'cgi',
    title: 'CGI: a static C program, 4 connections',
    connections: 4,
    path: '/cgi-bin/hello',
    peers: CGI_PEERS,
    needs: ['gcc'],
  }),
  httpCase({
    name: 'cgi-sh',
    title: 'CGI: a shell script, 4 connections',
    connections: 4,
    path: '/cgi-bin/hello.sh',
    peers: CGI_PEERS,
  }),
  httpCase({
    name: 'static-1k',
    title: 'Static file of 1 KiB, 16 connections',
    connections: 16,
    path: '/1k.bin',
    peers: [...FILE_PEERS, bareFile],
  }),
  httpCase({
    name: 'static-100k',
    title: 'Static file of 100 KiB, 16 connections',
    connections: 16,
    path: '/100k.bin',
    peers: FILE_PEERS,
  }),
  httpCase({
    name: 'tls-1k',
    title: 'Static file of 1 KiB over TLS, 50 connections that stay',
    connections: 50,
    path: '/1k.bin',
    peers: [runnel('auto', { secure: true }), runnel('node', { secure: true }), lighttpdTls, nginxTls, bareFileTls],
  }),
];
