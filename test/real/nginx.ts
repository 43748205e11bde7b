import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { debianProgram, findProgram } from './install.ts'
import { answersHttp, onFreePort, type Started, start, untilReady } from './started.ts'

export interface NginxOptions {
  /** Where requests go: `http://127.0.0.1:1234`. */
  upstream: string
  workers?: number
  /** Keep-alive connections to the upstream, for each worker. */
  keepalive?: number
}

export interface Nginx extends Started {
  url: string
}

/** nginx as a plain proxy to one upstream, unbuffered so that streams pass; its files are in a temporary folder. */
export async function nginx(options: NginxOptions): Promise<Nginx> {
  const command = await installNginx()
  const prefix = await mkdtemp(join(tmpdir(), 'sluice-nginx-'))
  const config = join(prefix, 'nginx.conf')
  return onFreePort(async (port) => {
    await writeFile(config, configuration(options, port))
    const args = ['-p', prefix, '-c', config, '-e', join(prefix, 'error.log')]
    const started = await start({ name: 'nginx', command, args })
    const url = `http://127.0.0.1:${port}`
    await untilReady('nginx', started, () => answersHttp(url))
    const stop = () => started.stop().then(() => rm(prefix, { recursive: true, force: true }))
    return { ...started, url, stop }
  })
}

/** Debian's smallest nginx: its package starts a server on port 80 only where systemd runs. */
export function installNginx(): Promise<string> {
  return debianProgram('nginx', ['nginx-light'], () => findProgram('/usr/sbin/nginx', 'nginx'))
}

function configuration({ upstream, workers = 1, keepalive = 64 }: NginxOptions, port: number): string {
  const user = process.getuid?.() === 0 ? 'user root;' : ''
  return `${user}
daemon off;
worker_processes ${workers};
pid nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  keepalive_requests 1000000;
  upstream target { server ${new URL(upstream).host}; keepalive ${keepalive}; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://target;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 600s;
    }
  }
}
`
}
