/** What people write who know another server, and the words with which they are told what to write here. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { realDisk } from '../../src/config/disk/disk.ts';
import { parseConfig } from '../../src/gateway/config.ts';

const DIRECTORY = join(import.meta.dirname, '../../../test/config/golden');

/** A file, and of everything that is wrong with it, or doubtful, what to do about it; the message itself where there is nothing to add. */
const MISTAKES: readonly (readonly [toml: string, ...said: string[]])[] = [
  ['[listen]\naddress = ":8080"\n[static."/"]\nroot = "site"\n', 'write its header in double brackets: [[listen]]'],
  ['[[listen]]\naddress = 8080\n[static."/"]\nroot = "site"\n', 'write ":8080"'],
  ['[[listen]]\naddress = "8080"\n[static."/"]\nroot = "site"\n', 'write ":8080"'],
  ['[[listen]]\naddress = "*:8080"\n[static."/"]\nroot = "site"\n', 'write ":8080"'],
  ['[[listen]]\naddress = "localhost:8080"\n[static."/"]\nroot = "site"\n', 'write "127.0.0.1:8080"'],
  ['[[listen]]\naddress = "192.168.1.5"\n[static."/"]\nroot = "site"\n', 'write "192.168.1.5:8080"'],
  ['[[listen]]\naddress = "http://0.0.0.0:8080"\n[static."/"]\nroot = "site"\n', 'write "0.0.0.0:8080"'],
  ['[[listen]]\naddress = ":::8080"\n[static."/"]\nroot = "site"\n', 'write ":8080"'],
  ['[[listen]]\naddress = "::1:8080"\n[static."/"]\nroot = "site"\n', 'write "[::1]:8080"'],
  ['[[listen]]\naddress = "/run/runnel.sock"\n[static."/"]\nroot = "site"\n', 'write "unix:/run/runnel.sock"'],
  ['[[listen]]\naddress = "https://board:8443/"\n[static."/"]\nroot = "site"\n', 'write ":8443"'],
  ['[[listen]]\naddress = "board.local:8080"\n[static."/"]\nroot = "site"\n', 'write ":8080"'],
  ['[[listen]]\naddress = "eth0:8080"\n[static."/"]\nroot = "site"\n', 'write ":8080"'],
  ['[[listen]]\naddress = "localhost"\n[static."/"]\nroot = "site"\n', 'write "127.0.0.1:8080"'],
  ['[[listen]]\naddress = "[::1]"\n[static."/"]\nroot = "site"\n', 'write "[::1]:8080"'],
  ['[[listen]]\naddress = ":http"\n[static."/"]\nroot = "site"\n', 'write ":80"'],
  ['[[listen]]\naddress = "80 default_server"\n[static."/"]\nroot = "site"\n', 'write ":80"'],
  [
    '[[listen]]\naddress = [":80", ":8080"]\n[static."/"]\nroot = "site"\n',
    'each address has a [[listen]] table of its own',
  ],
  ['[[listen]]\nhost = "0.0.0.0:80"\n[static."/"]\nroot = "site"\n', 'write address = "0.0.0.0:80"'],
  ['[[listen]]\nhost = "0.0.0.0"\n[static."/"]\nroot = "site"\n', 'write address = "0.0.0.0:8080"'],
  ['[[listen]]\naddress = ":80"\nhost = "board.local"\n[static."/"]\nroot = "site"\n', 'did you mean "hosts"?'],
  ['[[listen]]\nport = 8080\n[static."/"]\nroot = "site"\n', 'write address = ":8080"'],
  ['[[listen]]\nport = "8080"\n[static."/"]\nroot = "site"\n', 'write address = ":8080"'],
  [
    '[[listen]]\naddress = "0.0.0.0"\nport = 8080\n[static."/"]\nroot = "site"\n',
    'write "0.0.0.0:8080"',
    'write address = ":8080"',
  ],
  ['port = 8080\n[static."/"]\nroot = "site"\n', 'write "address" in [[listen]]'],
  ['listen = 80\n[static."/"]\nroot = "site"\n', 'write [[listen]], and below it address = ":80"'],
  ['listen = ":80"\n[static."/"]\nroot = "site"\n', 'write [[listen]], and below it address = ":80"'],
  ['listen = [":80"]\n[static."/"]\nroot = "site"\n', 'write [[listen]], and below it address = ":8080"'],
  ['[server]\nport = 8080\n[static."/"]\nroot = "site"\n', 'for "port" write "address" in [[listen]]'],
  ['[stream."/x"]\npoll = "http://127.0.0.1/x"\ninterval = "1 s"\n', 'write "1s"'],
  [
    '[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\nstop_timeout = "1 s"\n',
    'write it at the top of the file, before the first [table]',
  ],
  ['stop_timeout = "10 seconds"\n[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\n', 'write "10s"'],
  ['stop_timeout = "10sec"\n[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\n', 'write "10s"'],
  ['stop_timeout = "10"\n[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\n', 'write "10s"'],
  ['stop_timeout = "5min"\n[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\n', 'write "5m"'],
  ['[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\nlimits = { body = "10 MB" }\n', 'write "10MB"'],
  ['[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\nlimits = { body = "10M" }\n', 'write "10MiB"'],
  ['[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\nlimits = { body = "10mb" }\n', 'write "10MB"'],
  ['[[listen]]\naddress = ":8080"\n[static."/"]\nroot = "site"\nbody = "10MB"\n', 'write limits = { body = … }'],
  ['[static."/"]\nroot = "site"\n[log]\nlevel = "warning"\n', 'write "warn"'],
  ['[static."/"]\nroot = "site"\n[log]\nlevel = "WARN"\n', 'write "warn"'],
  ['log = "debug"\n[static."/"]\nroot = "site"\n', 'write log = { level = "debug" }'],
  ['[static."/"]\nroot = "site"\n[log]\nlevel = "err"\n', 'write "error"'],
  ['[static."/"]\nroot = "site"\n[log]\nlevel = "trace"\n', 'write "debug"'],
  ['[static."/"]\nroot = "site"\n[log]\naccess = false\n', 'this key is called "requests"'],
  ['[stream."/x"]\ncommand=["cat"]\nshare = true\n', 'write "all"'],
  ['[stream."/x"]\ncommand=["cat"]\nshared = "true"\n', 'did you mean "share"?'],
  ['[cgi."/c/"]\nroot = "site"\nmax_processes = "5"\n', 'write 5 without quotes'],
  ['[processes]\nmax = "5"\n[static."/"]\nroot = "site"\n', 'write 5 without quotes'],
  ['[stream."/x"]\ncommand=["cat"]\nenv = { A = 1 }\n', 'put it in quotes'],
  [
    '[static."/"]\nroot = "site"\n[auth]\nbasic = "users"\n',
    'write [defaults.auth] for all routes, or auth = { … } in one route',
  ],
  [
    '[static."/"]\nroot = "site"\nauth = "users"\n',
    'write auth = { basic = "FILE" }, and make the lines of the file with "runnel hash-password NAME"',
  ],
  ['[static."/"]\nroot = "site"\nbasic_auth = "users"\n', 'write auth = { basic = … }'],
  ['[stream."/x"]\ncommand = "vmstat 1 | cat"\n', 'write ["sh", "-c", "vmstat 1 | cat"]'],
  ['[stream."/x"]\ncommand = "vmstat 1"\n', 'write ["vmstat", "1"]'],
  [
    '[stream."/x"]\ncommand = ["vmstat", "1", "|", "cat"]\n',
    '"|" is passed to the program as an argument, because no shell reads it; if you need one, write ["sh", "-c", "vmstat 1 | cat"]',
  ],
  [
    '[stream."/x"]\ncommand = ["cat", ">", "/tmp/x"]\n',
    '">" is passed to the program as an argument, because no shell reads it; if you need one, write ["sh", "-c", "cat > /tmp/x"]',
  ],
  [
    '[stream."/x"]\ncommand = ["cat", "&&", "true"]\n',
    '"&&" is passed to the program as an argument, because no shell reads it; if you need one, write ["sh", "-c", "cat && true"]',
  ],
  [
    '[stream."/x"]\ncommand = ["cat", "$HOME/x"]\n',
    '"$HOME/x" is passed on as it is: only a shell replaces variables; if you need one, write ["sh", "-c", "cat $HOME/x"]',
  ],
  [
    '[stream."/x"]\ncommand = ["~/x.sh"]\n',
    'only a shell replaces "~": write the path of the home folder, such as "/home/pi"',
  ],
  ['[[listen]]\nadress = ":8080"\n[static."/"]\nroot = "site"\n', 'did you mean "address"?'],
  [
    '[static."/"]\nroot = "~/www"\n',
    'only a shell replaces "~": write the path of the home folder, such as "/home/pi"',
  ],
  ['[static."/"]\nroot = "Site"\n', 'did you mean "site"?'],
  ['[static."/"]\nroot = "./site/index.html"\n', 'write "./site/"'],
  ['[cgi."/x"]\nroot = "site/index.html"\n', 'for one program, write command = ["./site/index.html"]'],
  [
    '[static."/"]\nroot = "/"\n',
    'every file of this machine is served that the user of the gateway may read; write the folder of the pages, such as "www"',
  ],
  ['[stream."/x"]\ncommand = ["head", "-n", 1]\n', 'write ["head", "-n", "1"]'],
  ['[stream."/x"]\ncommand = ["cat"]\norigins = ["*"]\n', 'write cors = { origins = … }'],
  ['[static."/"]\ndocument_root = "site"\n', 'write root = "FOLDER"'],
  ['document_root = "/var/www"\n', 'write "root" in [static."/path"]'],
  [
    'server.document-root = "/var/www"\nserver.port = 80\n',
    'for "document-root" write "root" in [static."/path"], for "port" write "address" in [[listen]]',
  ],
  ['[static."/"]\nDocumentRoot = "site"\n', 'write root = "FOLDER"'],
  ['[static."/"]\nroot = "site"\nlist = "true"\n', 'write listing = true'],
  ['[static."/"]\nroot = "site"\nautoindex = true\n', 'write listing = true'],
  ['[[listen]]\naddress = ":8080",\n[static."/"]\nroot = "site"\n', 'remove the "," at the end of the line'],
  ['[[listen]]\naddress = ":8080";\n[static."/"]\nroot = "site"\n', 'remove the ";" at the end of the line'],
  ['[[listen]]\naddress = ":8080\t"\n[static."/"]\nroot = "site"\n', 'write ":8080"'],
  ['[[listen]]\naddress = “:8080”\n[static."/"]\nroot = "site"\n', 'use "'],
  ['[static.“/”]\nroot = "site"\n', 'use "'],
  ['[[listen]]\n\u00a0address = ":8080"\n[static."/"]\nroot = "site"\n', 'delete it and type a space'],
  ['[static]\nroot = "site"\n', 'write [static."/"]'],
  ['[stream]\ncommand = ["cat"]\n', 'write [stream."/"]'],
  ['[stream]\npath = "/live"\ncommand = ["cat"]\n', 'write [stream."/live"], without the key "path"'],
  ['[[stream]]\npath = "/live"\ncommand = ["cat"]\n', 'write [stream."/live"], without the key "path"'],
  ['[stream."/x"]\npoll = "cgi-bin/x"\n', 'write "/cgi-bin/x"'],
  ['[stream."/x"]\npoll = "192.168.1.7/status"\n', 'write "http://192.168.1.7/status"'],
  ['[stream."/x"]\npoll = "board:8081/status"\n', 'write "http://board:8081/status"'],
  [
    '[static."/"]\nroot = "site"\n[log]\nfile = "~/runnel.log"\n',
    'only a shell replaces "~": write the path of the home folder, such as "/home/pi"',
  ],
  ['[static./]\nroot = "site"\n', 'write [static."/"]'],
  ['[static./img/]\nroot = "site"\n', 'write [static."/img/"]'],
  ['[static."img"]\nroot = "site"\n', 'write "/img"'],
  ['[static "/"]\nroot = "site"\n', 'write [static."/"]'],
  ['[statics."/"]\nroot = "site"\n', 'did you mean "static"?'],
  ['[files."/"]\nroot = "site"\n', 'write [static."/path"]'],
  ['[websocket."/x"]\ncommand = ["cat"]\n', 'write [stream."/path"]'],
  [
    '[location."/"]\nroot = "site"\n',
    'a route is [static."/path"] for files, [cgi."/path"], [stream."/path"] or [proxy."/path"]',
  ],
  ['[static."/"]\nroot = "site"\n[static."/"]\nroot = "site"\n', 'remove one of the two'],
  ['[[static."/"]]\nroot = "site"\n', 'write its header in single brackets'],
  ['[static."~ \\\\.php$"]\nroot = "site"\n', 'there are no patterns: "/app/" is for every path below it'],
  ['[static."/"]\nroot = \'C:\\Users\\me\'\n', 'a path of Linux has "/" between its folders, as in "/home/pi/www"'],
  [
    '[[listen]]\naddress = ":443"\ntls = true\n[static."/"]\nroot = "site"\n',
    'write tls = { certificate = "FILE", key = "FILE" }; "runnel tls self-signed NAME" makes both files',
  ],
  [
    '[[listen]]\naddress = ":443"\ntls = "auto"\n[static."/"]\nroot = "site"\n',
    'write tls = { certificate = "FILE", key = "FILE" }; "runnel tls self-signed NAME" makes both files',
  ],
  [
    '[[listen]]\naddress = ":443"\ncert = "a.pem"\nkey = "a.key"\n[static."/"]\nroot = "site"\n',
    'write tls = { certificate = … }',
    'write tls = { key = … }',
  ],
  [
    '[tls]\ncertificate = "a.pem"\n[static."/"]\nroot = "site"\n',
    'it is a key of a listener: write it below [[listen]]',
  ],
  [
    '[[listen]]\naddress = ":443"\n[listen.tls]\ncertificate_file = "a.pem"\n[static."/"]\nroot = "site"\n',
    'write certificate = "FILE"',
  ],
  [
    '[[listen]]\naddress = ":443"\nssl_certificate = "a.pem"\nssl_certificate_key = "a.key"\n[static."/"]\nroot = "site"\n',
    'write tls = { certificate = … }',
    'write tls = { key = … }',
  ],
  [
    '[static."/"]\nroot = "site"\npassword = "hunter2"\n',
    'passwords are in a file: write auth = { basic = "FILE" }, and make its lines with "runnel hash-password NAME"',
  ],
  [
    '[static."/"]\nroot = "site"\nauth = { user = "me", password = "hunter2" }\n',
    'write basic = "FILE", and make the lines of the file with "runnel hash-password NAME"',
    'write basic = "FILE", and make the lines of the file with "runnel hash-password NAME"',
  ],
  ['[proxy."/"]\nproxy_pass = "http://127.0.0.1:3000"\n', 'write upstream = "http://127.0.0.1:3000"'],
  ['[proxy."/"]\nupstream = "127.0.0.1:3000"\n', 'write "http://127.0.0.1:3000"'],
  ['[proxy."/"]\nto = 3000\n', 'write upstream = "http://127.0.0.1:3000"'],
  ['[static."/"]\nroot: "site"\n', 'write "=" between a key and its value, not ":"'],
  [
    'listen:\n  - address: ":8080"\n',
    'it looks like YAML; a section begins with a header such as [static."/"], and its lines are key = value',
  ],
  [':8080\nroot * /var/www\n', 'it looks like a Caddyfile; the port is address = ":8080" below [[listen]]'],
  ['server {\n  listen 80;\n}\n', 'a section begins with a header such as [static."/"], and its lines are key = value'],
  [
    ':8080 {\n  root * /var/www\n}\n',
    'a section begins with a header such as [static."/"], and its lines are key = value',
  ],
  [
    'server.document-root = "/var/www"\nserver.port = 3000\n',
    'for "document-root" write "root" in [static."/path"], for "port" write "address" in [[listen]]',
  ],
  ['server.modules += ( "mod_cgi" )\n', 'write "=" between a key and its value, not "+="'],
  [
    '<VirtualHost *:80>\nDocumentRoot /var/www\n</VirtualHost>\n',
    'it looks like XML or a configuration of Apache; docs/configuration.md has an example of TOML',
  ],
  ['[Service]\nExecStart=/usr/bin/x\n', 'a text needs quotes: "/usr/bin/x"'],
  ['stop_timeout = 10s\n[static."/"]\nroot = "site"\n', 'write it in quotes: "10s"'],
  ['[static."/"]\nroot = "site"\nlimits = { body = 10MB }\n', 'write it in quotes: "10MB"'],
  ['[static."/"]\nroot = "site"\nlist = True\n', 'write true'],
  ['; a comment\n[static."/"]\nroot = "site"\n', 'use "#"'],
  ['// a comment\n[static."/"]\nroot = "site"\n', 'use "#"'],
  ['stop-timeout = "10s"\n[static."/"]\nroot = "site"\n', 'did you mean "stop_timeout"?'],
  ['[Static."/"]\nroot = "site"\n', 'did you mean "static"?'],
  [
    'user = "www-data"\n[static."/"]\nroot = "site"\n',
    'it is a key of [cgi."/path"], [stream."/path"]; the user of the gateway is User= of its systemd unit',
  ],
  ['root = "/var/www"\n', 'it is a key of [static."/path"], [cgi."/path"], [fastcgi."/path"], [stream."/path"]'],
  ['[[listen]]\naddress = ":80"\nhosts = "board.local"\n[static."/"]\nroot = "site"\n', 'write ["board.local"]'],
  [
    '[[listen]]\naddress = ":80"\nserver_name = "board.local"\n[static."/"]\nroot = "site"\n',
    'write hosts = ["board.local"]',
  ],
  ['[static."/"]\nroot = "site"\nindex = "index.html"\n', 'write ["index.html"]'],
  [
    '[static."/"]\nroot = "site"\n[headers]\nX-A = "b"\n',
    'write [defaults.headers] for all routes, or headers = { … } in one route',
  ],
  ['[static."/"]\nroot = "site"\ncors = "*"\n', 'write cors = { origins = ["https://app.example.org"] }'],
  ['[static."/"]\nroot = "site"\ncors = true\n', 'write cors = { origins = ["https://app.example.org"] }'],
  ['[stream."/x"]\npoll = "http://127.0.0.1/x"\ninterval = 5\n', 'write "5s"'],
  ['[static."/"]\nroot = "site"\ngzip = true\n', 'write compress = true'],
  ['keepalive_timeout = 65\n[static."/"]\nroot = "site"\n', 'write "keep_alive" in [connections]'],
  ['worker_processes = 4\n[static."/"]\nroot = "site"\n', 'leave it out: the gateway is one process'],
  [
    'include = "conf.d/*.toml"\n[static."/"]\nroot = "site"\n',
    'there are no included files: one file holds the whole configuration',
  ],
  ['[static."/"]\nroot = "site"\nclient_max_body_size = "10m"\n', 'write limits = { body = … }'],
  ['[[listen]]\naddress = ":80"\nredirect = true\n[static."/"]\nroot = "site"\n', 'write "https"'],
  ['admin = true\n[static."/"]\nroot = "site"\n', 'write admin = { listen = "127.0.0.1:9180" }'],
  ['[cgi."/"]\nroot = "site"\nextension = ".cgi"\n', 'write interpreters = { ".py" = "python3" }'],
  ['[stream."/x"]\ncmd = ["cat"]\n', 'write command = ["PROGRAM", "ARGUMENT"]'],
  [
    '[stream."/x"]\ncommand = ["cat"]\ntimeout = "10s"\n',
    'it is a key of [cgi."/path"], [fastcgi."/path"], [proxy."/path"]',
  ],
];

describe('a mistake that people make is told with what to write', () => {
  for (const [toml, ...said] of MISTAKES)
    test(JSON.stringify(toml), () => {
      const result = parseConfig(Buffer.from(toml), 'x.toml', {
        directory: DIRECTORY,
        disk: realDisk('/usr/bin:/bin'),
      });
      const found = result.ok ? result.doubts : result.problems;
      assert.deepEqual(
        found.map(({ hint, message }) => hint ?? message),
        said,
      );
    });
});
