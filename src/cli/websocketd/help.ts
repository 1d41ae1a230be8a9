/** What `--help`, `--version` and `--license` print, and what follows a mistake. */
import { VERSION } from '../../ops/version.ts';

const USAGE = `Usage:

  A program as a WebSocket server:
    websocketd [options] COMMAND [command args]

  A folder of programs, each a WebSocket endpoint:
    websocketd [options] --dir=SOMEDIR
`;

export const SHORT_HELP = `
${USAGE}
  All options:
    websocketd --help
`;

export const HELP = `websocketd (of runnel ${VERSION}): the command line of websocketd, served by runnel.

${USAGE}
Options:

  --port=PORT             port to listen on (default 80, with --ssl 443)
  --address=ADDRESS       address to listen on; may be repeated (default: all)
  --unixsocket=PATH       Unix socket to listen on; without --port, --address and
                          --redirport nothing listens on TCP
  --redirport=PORT        another port, which redirects to --port

  --ssl                   serve HTTPS and wss:
  --sslcert=FILE          certificate, in PEM
  --sslkey=FILE           its key, in PEM
  --sslca=FILE            ask clients for certificates of this CA

  --dir=DIR               every program in DIR is a WebSocket endpoint
  --staticdir=DIR         serve the files in DIR
  --cgidir=DIR            serve the CGI programs in DIR
  --devconsole            serve a page to try a WebSocket, at every path

  --binary                messages are bytes as they come, not lines
  --passstderr            messages are {"stream":"stdout|stderr","data":"..."}
  --maxforks=N            most programs at once, 0 for no limit (default 1024)
  --maxframesize=BYTES    largest message of a client, 0 for 64 MiB (default 1 MiB)
  --closems=MS            more time for a program to end before it is signalled
  --pingms=MS             how often clients are pinged (default 25000)
  --passenv=VAR[,VAR...]  environment variables that programs get
                          (default PATH,LD_LIBRARY_PATH)
  --reverselookup         REMOTE_HOST is the name of the client's address

  --sameorigin            only pages of this server may open a WebSocket
  --origin=[scheme://]host[:port][,...]
                          only these pages, and those of this server
  --header="NAME: VALUE"  header field of every response; may be repeated
  --header-ws="..."       of those that open a WebSocket
  --header-http="..."     of all others

  --loglevel=LEVEL        debug, trace, access (default), info, error, fatal
  --print-config          print the same as a configuration of runnel, and exit
  --help, --version, --license
`;

export const VERSION_LINE = `websocketd of runnel ${VERSION}`;

export const LICENSE = `${VERSION_LINE}
runnel is under the MIT license; it contains no code of websocketd
(Copyright 2013 Joe Walnes and the websocketd team, BSD license).
`;
