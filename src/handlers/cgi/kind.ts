/** Routes that start a CGI program for each request: `[cgi."/path"]`. */
import type { RouteKind } from '../../http/route-kind.ts';
import { launchOf } from '../../programs/launch.ts';
import { cgiHandler } from './handler.ts';
import { type CgiConfig, cgiTable } from './keys.ts';

export const cgiKind: RouteKind<'cgi', CgiConfig> = {
  name: 'cgi',
  doc: 'CGI programs (RFC 3875).',
  table: cgiTable,
  startsPrograms: true,
  usesDocumentRoot: true,
  part: ({ pass_missing }) => (pass_missing === true ? 'found' : undefined),
  folder({ root, index, interpreters }) {
    if (root === undefined) return undefined;
    return { root, holds: 'programs', index, interpreted: [...interpreters.keys()], answersAll: false };
  },
  build(key, route, parts) {
    const { log, tallies, version, programs, documentRoot } = parts;
    const launch = launchOf(key, route, parts);
    const inherited = process.env;
    return cgiHandler(route, { route: key, log, tallies, version, programs, launch, inherited, documentRoot });
  },
};
