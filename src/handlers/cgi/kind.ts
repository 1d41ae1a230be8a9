/** Routes that start a CGI program for each request: `[cgi."/path"]`. */
import { doubtScriptArgument, programFolder } from '../../config/checks/script-argument.ts';
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
  doubt(key, { command, directory }, _routes, reading) {
    if (command === undefined) return;
    const usual = { path: programFolder(command[0], reading), name: 'the folder of the program' };
    doubtScriptArgument(['cgi', key, 'command'], command, directory, usual, reading);
  },
  build(key, route, parts) {
    const { log, tallies, version, programs, documentRoot } = parts;
    const launch = launchOf(key, route, parts);
    const inherited = process.env;
    return cgiHandler(route, { route: key, log, tallies, version, programs, launch, inherited, documentRoot });
  },
};
