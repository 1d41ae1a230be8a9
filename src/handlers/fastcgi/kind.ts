/** Routes that are answered by a FastCGI application: `[fastcgi."/path"]`. */
import type { RouteKind } from '../../http/route-kind.ts';
import { fastcgiHandler } from './handler.ts';
import { type FastcgiConfig, fastcgiTable } from './keys.ts';

export const fastcgiKind: RouteKind<'fastcgi', FastcgiConfig> = {
  name: 'fastcgi',
  doc: 'FastCGI applications, such as php-fpm.',
  table: fastcgiTable,
  startsPrograms: false,
  usesDocumentRoot: true,
  build(key, route, { log, tallies, version, documentRoot }) {
    return fastcgiHandler(route, { route: key, log, tallies, version, documentRoot });
  },
};
