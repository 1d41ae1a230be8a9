/** Names that other servers, systemd and people's habit have for keys and tables of ours, so that an unknown key's message can say what to write. */

/** What one of our keys is called elsewhere, in lower case, with "_" between the words. */
const NAMES: { readonly [ours: string]: string } = {
  address: 'port listen bind host ip addr listen_address bind_address listen_port http_port server_port',
  root: 'document_root documentroot doc_root docroot webroot www path dir folder alias serve',
  listing: 'autoindex list browse dir_listing directory_listing list_directories indexes dir_listing_activate',
  index: 'index_file index_files index_file_names directory_index directoryindex indexes_file default_file',
  fallback: 'try_files not_found spa',
  error_pages: 'error_page errordocument error_document error_handler_404 errors',
  compress: 'gzip gzip_on compression encode deflate brotli',
  headers: 'header add_header response_headers setenv_add_response_header',
  limits: 'limit',
  body: 'client_max_body_size max_body max_body_size max_request_size body_size body_limit upload_size max_upload',
  command: 'cmd exec execute exec_start execstart program run script process binary app',
  directory: 'cwd chdir workdir work_dir working_dir working_directory workingdirectory',
  env: 'environment environ setenv set_env env_vars variables',
  user: 'run_as runas username uid',
  group: 'groupname gid',
  upstream: 'proxy_pass to url backend target reverse_proxy proxypass destination',
  connect: 'fastcgi_pass socket sock bin_path',
  interpreters: 'interpreter extension extensions handlers assign cgi_assign addhandler handler',
  timeout: 'proxy_read_timeout fastcgi_read_timeout cgi_timeout read_timeout request_timeout',
  max_processes: 'processes workers max_children concurrency max_procs',
  share: 'shared sharing',
  interval: 'every period poll_interval refresh',
  restart: 'autorestart auto_restart restart_policy',
  framing: 'frame separator delimiter binary_mode',
  max_clients: 'max_connections max_viewers maxclients max_conns maxforks',
  read_only: 'readonly',
  hosts: 'server_name server_names servername hostname host_name domain domains virtual_host',
  tls: 'ssl https ssl_engine',
  certificate:
    'cert ssl_certificate ssl_cert sslcertificatefile certificate_file cert_file certfile crt pem pemfile ssl_pemfile fullchain',
  key: 'ssl_certificate_key ssl_key sslcertificatekeyfile private_key privkey key_file keyfile privkey_file certificate_key',
  minimum_version: 'ssl_protocols min_version tls_version minversion',
  redirect: 'redirect_to rewrite return force_https https_redirect redir',
  http2: 'h2 http_2',
  basic:
    'htpasswd password_file auth_basic_user_file users users_file userfile auth_file basic_auth basicauth basic_auth_file user username password passwd',
  tokens: 'token bearer tokens_file token_file',
  realm: 'auth_basic',
  origins: 'origin allow_origin allowed_origins allow_origins same_origin',
  level: 'log_level loglevel verbosity',
  file: 'log_file logfile error_log output',
  requests: 'access access_log accesslog request_log',
  format: 'log_format',
  keep_alive: 'keepalive keepalive_timeout keep_alive_timeout',
  max: 'max_programs worker_connections',
  trusted_proxies: 'set_real_ip_from trusted_proxy real_ip_from trust_proxy proxies',
  stop_timeout: 'shutdown_timeout grace_period timeoutstopsec graceful_timeout',
  // Tables.
  listen: 'address port bind addr server servers listener listeners http entrypoints',
  static: 'files file_server web pages site www_root',
  stream: 'websocket websockets ws live sse events streams',
  cgi: 'cgi_bin cgibin scripts programs',
  fastcgi: 'php fcgi php_fpm fpm',
  proxy: 'reverseproxy proxies upstreams',
  admin: 'metrics prometheus health monitoring',
  log: 'logging logs logger',
  defaults: 'global globals default all common',
  connections: 'limits_connections network clients',
};

const OURS: ReadonlyMap<string, readonly string[]> = invert();

function invert(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const [ours, words] of Object.entries(NAMES))
    for (const word of words.split(' ')) found.set(word, [...(found.get(word) ?? []), ours]);
  return found;
}

/** Our keys that may be meant by a name. */
export function keysMeantBy(name: string): readonly string[] {
  if (name.length > 40) return [];
  return OURS.get(plainName(name)) ?? [];
}

const ROUTES = 'a route is [static."/path"] for files, [cgi."/path"], [stream."/path"] or [proxy."/path"]';

/** What to do about names for which there is no key. */
const ADVICE: { readonly [name: string]: string } = {
  location: ROUTES,
  route: ROUTES,
  routes: ROUTES,
  handle: ROUTES,
  include: 'there are no included files: one file holds the whole configuration',
  import: 'there are no included files: one file holds the whole configuration',
  worker_processes: 'leave it out: the gateway is one process',
  workers: 'leave it out: the gateway is one process',
  threads: 'leave it out: the gateway is one process',
  daemon: 'leave it out: the gateway stays in the foreground, and systemd or "&" puts it into the background',
  pid: 'leave it out: "runnel status" and "runnel reload" find the gateway without a file',
  pid_file: 'leave it out: "runnel status" and "runnel reload" find the gateway without a file',
  pidfile: 'leave it out: "runnel status" and "runnel reload" find the gateway without a file',
  modules: 'leave it out: everything is built in',
  mime_types:
    'leave it out: the usual types are built in; types = { ".ext" = "type/subtype" } of a static route adds others',
  sendfile: 'leave it out: it is always done where it pays',
  version: 'leave it out: the file has no version',
  cache: 'leave it out: small files are kept in memory; cache_control of a static route is for browsers',
  password:
    'passwords are in a file: write auth = { basic = "FILE" }, and make its lines with "runnel hash-password NAME"',
  passwd:
    'passwords are in a file: write auth = { basic = "FILE" }, and make its lines with "runnel hash-password NAME"',
  acme: 'runnel does not fetch certificates: use certbot or another client, and name its files in tls',
  letsencrypt: 'runnel does not fetch certificates: use certbot or another client, and name its files in tls',
  email: 'runnel does not fetch certificates: use certbot or another client, and name its files in tls',
  autohttps: 'runnel does not fetch certificates: use certbot or another client, and name its files in tls',
  deny: 'there is no such rule: auth says who may use a route, and the address of a listener who reaches it',
  allow: 'there is no such rule: auth says who may use a route, and the address of a listener who reaches it',
  shell: 'there is no shell unless the command is one: command = ["sh", "-c", "…"]',
  args: 'arguments follow the program in its list: command = ["PROGRAM", "ARGUMENT"]',
  arguments: 'arguments follow the program in its list: command = ["PROGRAM", "ARGUMENT"]',
};

export function adviceAbout(name: string): string | undefined {
  const plain = plainName(name);
  return Object.hasOwn(ADVICE, plain) ? ADVICE[plain] : undefined;
}

/** `DocumentRoot`, `document-root` and `server.document_root`'s last part are one name. */
function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[-.]/g, '_');
}
