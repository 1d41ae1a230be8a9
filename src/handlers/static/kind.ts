/** Routes that serve files: `[static."/path"]`. */
import type { RouteKind } from '../../http/route-kind.ts';
import { staticHandler } from './handler.ts';
import { type StaticConfig, staticTable } from './keys.ts';

export const staticKind: RouteKind<'static', StaticConfig> = {
  name: 'static',
  doc: 'Files.',
  table: staticTable,
  startsPrograms: false,
  folder: ({ root, index, fallback }) => ({
    root,
    holds: 'files',
    index,
    interpreted: [],
    answersAll: fallback !== undefined,
  }),
  build(key, route, { files, buffers, log }) {
    return staticHandler(route, { route: key, files, buffers, log });
  },
};
