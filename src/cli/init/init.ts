/** `runnel init`: a configuration for this machine, to begin with. */
import { takenPorts } from '../../ops/system/ports.ts';
import { EXIT, type Verb } from '../verb.ts';
import { writeConfiguration } from './configuration.ts';
import { lookAround } from './machine.ts';

export const init: Verb = {
  name: 'init',
  usage: 'runnel init',
  brief: 'print a configuration for this machine',
  doc: `Looks around and prints a configuration for this machine, with its reasons as comments: folders of CGI programs and of pages,
also those that lighttpd, nginx, Apache, boa, thttpd, BusyBox httpd or uhttpd are configured to serve, ports that are taken, and
certificates of certbot. It asks nothing, writes no file, starts nothing, and opens nothing to the network. "runnel check" accepts
what it prints; what could not be used is a comment that says why.

  runnel init > runnel.toml`,
  flags: {},
  words: 'none',
  async run() {
    process.stdout.write(writeConfiguration(lookAround(), takenPorts()));
    return EXIT.ok;
  },
};
