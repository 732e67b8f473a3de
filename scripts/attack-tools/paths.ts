import type { ApiDescription } from '../../src/api/site/document.ts'

const words = (text: string): string[] => text.trim().split(/\s+/)

/** What people leave lying about, what frameworks open by themselves, and where scanners look first. */
const common = words(`
  .DS_Store .aws/credentials .bash_history .bashrc .bzr .config .cvs .docker/config.json .dockerignore .editorconfig .env .env.backup
  .env.development .env.example .env.local .env.old .env.prod .env.production .env.test .git .git/ .git/HEAD .git/config .git/index
  .git/logs/HEAD .git/objects/ .git/refs/heads/main .gitattributes .gitignore .gitlab-ci.yml .github/workflows .hg .hg/hgrc .htaccess
  .htpasswd .idea/workspace.xml .mysql_history .netrc .npmrc .npm .nyc_output .php_cs .profile .psql_history .python_history .ssh/id_rsa
  .ssh/authorized_keys .ssh/known_hosts .svn .svn/entries .svn/wc.db .travis.yml .vscode/settings.json .well-known .well-known/
  .well-known/openid-configuration .well-known/oauth-authorization-server .well-known/change-password .well-known/assetlinks.json
  .well-known/apple-app-site-association .yarnrc
  .oxlintrc.json .oxfmtrc.json .ci/run
  0 1 2fa account accounts actuator actuator/env actuator/health actuator/heapdump actuator/mappings actuator/metrics admin admin/ admin.php
  admin/login admin/index.html admin/config administrator adminer adminer.php api api/ api-docs api/v1 api/v1/users api/v2 api/swagger.json
  app app.js app.ts application.properties application.yml apple-app-site-association appsettings.json archive archive.zip assets assets/
  auth auth/login authorize backup backup.sql backup.tar.gz backup.zip backups backups/ bash bin bitbucket-pipelines.yml build cache cgi-bin
  cgi-bin/ cgi-bin/test.cgi changelog CHANGELOG CHANGELOG.md claim.code client_secret.json cloud config config.bak config.inc.php config.js
  config.json config.old config.php config.toml config.ts config.yml configuration console console/ console.html composer.json composer.lock
  CONTRIBUTING.md crossdomain.xml csp-report.json cron data data/ data.json data.sql database database.sql database.sqlite db db.json db.sql db.sqlite
  db.sqlite3 debug debug/pprof debug/vars default deploy dev dev-ca.pem dev-tls.pem dist dist/ docker-compose.yml Dockerfile docs/ docs/index.html
  doc documentation download downloads dump dump.sql elmah.axd env error error.log errors example examples export favicon.ico favicon.png
  feed file files filmgate filmgate.toml filmgate-data filmgate-data/ filmgate-data/filmgate.db filmgate-data/master.key
  filmgate-data/starter.key filmgate.db films films.ndjson flag ftp graphql graphiql graphql/console Gruntfile.js gulpfile.js h2-console health
  healthz heapdump help home htdocs id_rsa images img import include index index.htm index.js index.php index.html/ info info.php
  INSTALL.md internal jenkins jmx-console js json jwks.json key keys lib LICENSE livez loader local localhost log log.txt logs logs/ login login.php
  login/ logout logs.txt mail main.js main.ts maintenance Makefile manage manager/html manifest.json master.key me media metadata
  metrics METRICS mgmt migrations module monitor monitoring mysql nagios new nginx.conf nginx_status node_modules node_modules/ node_modules/.package-lock.json
  oauth oauth/token oauth2/token old openapi openapi.yaml openapi.yml openapi openapi.json.bak openapi/ opt owa package.json package-lock.json
  panel passwd password passwords passwords.txt php.ini phpinfo.php phpmyadmin phpmyadmin/ pma ping pipeline plugins portal private private/
  problems problems/ profile proc/self/environ prod prometheus proxy public public/ pubspec.yaml query queue readme README README.md readyz redis
  register release remote reports requirements.txt reset restore rest robots.txt root rpc rss runtime s3 saml sample schema scripts search
  secret secrets secrets.json secrets.yml security security.txt SECURITY.md server server-info server-status server.js server.key server.log
  server.pem service services session sessions settings settings.json settings.py setup shell shell.php shutdown signin signup site sitemap.xml
  sitemap.xml.gz soap sql src src/ src/main.ts src/app.ts sse ssl staging starter.key stat static static/ static/../.env stats status storage
  swagger swagger-resources swagger-ui swagger-ui.html swagger-ui/ swagger.json swagger.yaml swagger/index.html system temp terraform.tfstate
  test test.html test.php testing tests tls.key tmp tmp/ token trace trace.axd tsconfig.json upload uploads uploads/ user user/login users
  users.json util v0 v1 v1/ v1/admin v1/auth v1/auth/ v1/debug v1/health v1/me/ v1/ops v1/security/ v1/films/ v1/users/ v2 v2/films v3 var vendor
  vendor/ vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php version version.txt VERSION vite.config.ts @vite/client @fs/etc/passwd web web.config WEB-INF/
  WEB-INF/web.xml webhook webmail websocket wp-admin wp-admin/ wp-config.php wp-config.php.bak wp-content/ wp-includes/ wp-json wp-login.php
  ws www www.zip xmlrpc.php yarn.lock
`)

/** What an editor, a packer or a copy leaves beside a file, and second extensions that some servers go by. */
const endings = words(
  `~ .bak .old .orig .save .swp .tmp .copy .1 .gz .zip .tar.gz .sql .php .php.html .html.php .jsp .asp .json .html .xml .txt .map .br / // /. ;a=b %00 %00.html %20 %2e %2f .%00`,
)

/** Ways to a folder above, or to the same place by another name (CWE-22, CWE-41). */
const detours = words(`
  ../ ../../../../etc/passwd ..%2f..%2f..%2f..%2fetc%2fpasswd %2e%2e/%2e%2e/%2e%2e/etc/passwd %2e%2e%2f%2e%2e%2fetc%2fpasswd ..%5c..%5cetc%5cpasswd
  ..%252f..%252fetc%252fpasswd ..;/ ..;/admin ..;/metrics .;/metrics ....//....//etc/passwd %c0%ae%c0%ae/etc/passwd ..%c0%afetc/passwd
  /etc/passwd //etc/passwd ///metrics ./metrics %2fmetrics %6detrics metrics%20 metrics%09 metrics%0a metrics%23 metrics%3f readyz%2f %72eadyz
  assets/../package.json assets/..%2fpackage.json assets/%2e%2e/package.json assets/..%5cpackage.json assets/%2e%2e%2f%2e%2e%2fpackage.json
  assets//../package.json assets/.%2e/package.json assets/..;/package.json assets/....//package.json assets/.env assets/.git/HEAD assets/index.html
  index.html/../package.json INDEX.HTML Index.html index.HTML OPENAPI.JSON Openapi.json V1/USERS V1/Me v1//users v1/./users v1/users/. v1/%75sers
  v1/users%2f v1%2fusers v1/users;x=y v1/users/%2e%2e/me v1/me/../users v1/audit%00 v1/audit.json v1/audit.csv v1/users.json v1/users~ v1/keys.bak
  problems/../openapi.json problems/%2e%2e/openapi.json problems/..%2fopenapi.json problems/__proto__ problems/constructor problems/toString
  __proto__ constructor prototype hasOwnProperty toString valueOf
`)

/** Without a slash in front, as ffuf puts them behind one; none that a client could not put on the wire as it stands. */
export const pathsToTry = (description: ApiDescription): readonly string[] => {
  const routes = Object.keys(description.paths).map((path) => path.slice(1))
  const plain = routes.filter((path) => !path.includes('{') && path !== '')
  const beside = plain.flatMap((path) => endings.map((ending) => path + ending))
  const nested = plain.map((path) => `${path}/.env`)
  return [...new Set([...routes.filter((path) => !path.includes('{')), ...common, ...detours, ...beside, ...nested])]
}

const escape = (text: string): string => text.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')

/** Of the routes there are: a parameter is anything within a segment. */
export const knownPaths = (description: ApiDescription): RegExp =>
  new RegExp(
    `^(?:${Object.keys(description.paths)
      .map((path) => escape(path).replaceAll(/\{\w+\}/g, '[^/]*'))
      .join('|')})$`,
  )
