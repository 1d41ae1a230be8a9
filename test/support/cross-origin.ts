/** A gateway with routes for every case of CORS, for tests with browsers and with raw requests: one listener for each engine. */
import type { TestContext } from 'node:test';
import { type Running, startGateway } from './gateway.ts';

/** Prints what it was asked, and says about other origins what it should not. The query is a status, or "to" and a target. */
const ECHO = `#!/bin/sh
echo "Access-Control-Allow-Origin: *"
echo "Access-Control-Allow-Origin: http://evil.test"
echo "Access-Control-Allow-Credentials: true"
echo "X-Shown: shown"
echo "X-Hidden: hidden"
echo "Vary: Accept-Encoding"
case "$QUERY_STRING" in
  to=*) echo "Status: 302"; echo "Location: http://$HTTP_HOST\${QUERY_STRING#to=}" ;;
  [0-9]*) echo "Status: $QUERY_STRING" ;;
esac
echo "Content-Type: text/plain"
echo
[ "$QUERY_STRING" = 304 ] || echo "$REQUEST_METHOD $HTTP_COOKIE $HTTP_X_THING"
`;

/** @param page the origin that may */
export function startCrossOrigin(t: TestContext, page: string): Promise<Running> {
  return startGateway(t, {
    config: `
[[listen]]
address = "127.0.0.1:0"
engine = "uws"
[[listen]]
address = "127.0.0.1:0"
engine = "node"
[cgi."/api/"]
root = "bin"
cors = { origins = ["${page}"], methods = ["GET", "PUT"], headers = ["X-Thing"], expose = ["X-Shown"], credentials = true, private_network = true }
[cgi."/sandbox/"]
root = "bin"
cors = { origins = ["null"] }
[cgi."/closed/"]
root = "bin"
[cgi."/guarded/"]
root = "bin"
cross_site = "refuse"
[static."/files/"]
root = "files"
cors = { origins = ["${page}"] }
[static."/everybody/"]
root = "files"
cors = { origins = ["*"] }
[stream."/live"]
command = ["cat"]
[stream."/live-for-page"]
command = ["cat"]
cors = { origins = ["${page}"] }
`,
    files: { 'bin/echo.cgi': ECHO, 'files/a.txt': 'abcdefgh', 'files/folder/index.html': 'x' },
  });
}
