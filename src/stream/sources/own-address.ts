/** An address of this very gateway, where a source of a stream is to be somebody else's. */
import { USUAL_LISTEN } from '../../config/keys/listen.ts';
import type { RawRoute } from '../../config/route-schema.ts';
import { parseAddress } from '../../config/values/simple.ts';
import { isTable, type RawTable } from '../../config/values/tables.ts';
import type { Reading } from '../../config/values/value.ts';
import { canonicalPath } from '../../routing/canonical-path.ts';
import type { Match, Router } from '../../routing/router.ts';
import { STREAM } from '../keys.ts';

/** The stream of this gateway that answers at `url`, by its loopback address; undefined for any other address. */
export function streamOfAddress(
  url: string,
  routes: Router<RawRoute>,
  file: RawTable,
  reading: Reading,
): Match<RawRoute> | undefined {
  if (!URL.canParse(url)) return undefined;
  const { hostname, port, protocol, pathname } = new URL(url);
  if (protocol !== 'http:' || !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return undefined;
  const listen = Array.isArray(file['listen']) ? file['listen'] : USUAL_LISTEN;
  const isOurs = listen.some((entry: unknown) => {
    const written = isTable(entry) ? entry['address'] : undefined;
    const address = typeof written === 'string' ? parseAddress(written, reading.directory) : undefined;
    return address?.kind === 'tcp' && address.port === Number(port === '' ? 80 : port);
  });
  const path = isOurs ? canonicalPath(pathname) : undefined;
  const found = path === undefined ? undefined : routes.find(hostname, path);
  return found?.value.kind.name === STREAM ? found : undefined;
}
