/** The ways in which nginx, Caddy and Home Assistant show a gateway below a path. */

const INGRESS = '/api/hassio_ingress/nUX2_iQ7';

/** @param to the gateway's address, or "unix:" and its socket */
const nginx = (port: number, to: string, prefix: string, slash: string, fields: string): string => `
daemon off; pid nginx.pid; error_log stderr; events {}
http {
  access_log off;
  map $http_upgrade $runnel_connection { default upgrade; "" ""; }
  server {
    listen 127.0.0.1:${port};
    location ${prefix}/ {
      proxy_pass http://${to}${slash !== '' && to.startsWith('unix:') ? ':/' : slash};
      proxy_http_version 1.1;
      proxy_redirect off;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $runnel_connection;
      proxy_buffering off;
      ${fields}
    }
  }
}`;
const caddy = (port: number, to: string, handle: string, fields: string): string => `{
	admin off
	auto_https off
}
http://127.0.0.1:${port} {
	${handle} /board/* {
		reverse_proxy ${to.replace('unix:', 'unix/')} {
			flush_interval -1
			${fields}
		}
	}
}
`;

export interface Way {
  readonly what: string;
  readonly program: 'nginx' | 'caddy';
  readonly prefix: string;
  /** Of the gateway's `[connections]`. */
  readonly connections?: string;
  readonly config: (port: number, to: string) => string;
}

export const WAYS: readonly Way[] = [
  {
    what: 'nginx takes it off and says nothing',
    program: 'nginx',
    prefix: '/board',
    config: (port, to) => nginx(port, to, '/board', '/', ''),
  },
  {
    what: 'nginx takes it off and says so',
    program: 'nginx',
    prefix: '/board',
    config: (port, to) => nginx(port, to, '/board', '/', 'proxy_set_header X-Forwarded-Prefix /board;'),
  },
  {
    what: 'nginx keeps it and says so',
    program: 'nginx',
    prefix: '/board',
    connections: 'proxy_prefix = "kept"',
    config: (port, to) => nginx(port, to, '/board', '', 'proxy_set_header X-Forwarded-Prefix /board;'),
  },
  {
    what: "Home Assistant's ingress",
    program: 'nginx',
    prefix: INGRESS,
    config: (port, to) => nginx(port, to, INGRESS, '/', `proxy_set_header X-Ingress-Path ${INGRESS};`),
  },
  {
    what: 'Caddy takes it off and says nothing',
    program: 'caddy',
    prefix: '/board',
    config: (port, to) => caddy(port, to, 'handle_path', ''),
  },
  {
    what: 'Caddy keeps it and says so',
    program: 'caddy',
    prefix: '/board',
    connections: 'proxy_prefix = "kept"',
    config: (port, to) => caddy(port, to, 'handle', 'header_up X-Forwarded-Prefix /board'),
  },
];

export function proxyArgs(program: Way['program'], folder: string, file: string): readonly string[] {
  return program === 'nginx' ? ['-p', folder, '-c', file] : ['run', '--adapter', 'caddyfile', '--config', file];
}
