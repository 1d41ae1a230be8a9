/** The table of the kinds of routes, in the order of the reference page. A new kind is a folder of its own and a line here. */
import { streamKind } from '../stream/kind.ts';
import { cgiKind } from './cgi/kind.ts';
import { fastcgiKind } from './fastcgi/kind.ts';
import { proxyKind } from './proxy/kind.ts';
import { staticKind } from './static/kind.ts';
import { statusKind } from './status/kind.ts';

export const ROUTE_KINDS = [staticKind, cgiKind, fastcgiKind, proxyKind, streamKind, statusKind] as const;
