import type { Edit, ProxyName } from '../support/proxies.ts'

type Edits = Readonly<Record<ProxyName, readonly Edit[]>>

const uncommented = (line: string): Edit => [`#${line}`, line]

/** What the files say of a Filmgate that speaks TLS itself: its certificate is checked against this authority. */
export const upstreamOverTls = (authorityFile: string): Edits => ({
  caddy: [
    uncommented('tls\n'),
    ['#tls_trusted_ca_certs /etc/caddy/filmgate-ca.pem', `tls_trusted_ca_certs ${authorityFile}`],
    uncommented('tls_server_name films.example.com'),
  ],
  nginx: [
    ['proxy_pass http://filmgate;', 'proxy_pass https://filmgate;'],
    uncommented('proxy_ssl_verify on;'),
    ['#proxy_ssl_trusted_certificate /etc/nginx/filmgate-ca.pem;', `proxy_ssl_trusted_certificate ${authorityFile};`],
    uncommented('proxy_ssl_name films.example.com;'),
    uncommented('proxy_ssl_server_name on;'),
    uncommented('proxy_ssl_protocols TLSv1.2 TLSv1.3;'),
  ],
  haproxy: [
    [
      'server filmgate 127.0.0.1:3000',
      `server filmgate 127.0.0.1:3000 ssl verify required ca-file ${authorityFile} sni str(films.example.com) verifyhost films.example.com`,
    ],
  ],
})

/** What the files say of another proxy in front, which here is on this machine too. */
export const behindAnotherProxy: Edits = {
  caddy: [['#trusted_proxies 10.0.0.0/8', 'trusted_proxies 127.0.0.1/32']],
  nginx: [
    ['        proxy_set_header X-Forwarded-For $remote_addr;\n', ''],
    uncommented('proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;'),
  ],
  haproxy: [['    http-request set-header X-Forwarded-For %[src]\n', ''], uncommented('http-request add-header X-Forwarded-For %[src]')],
}
