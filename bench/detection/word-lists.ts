/** What a list of paths for such tools holds first: names of folders, of files left behind, of other people's software. */
export const commonPaths: readonly string[] = [
  ...'admin login backup test dev old new tmp temp api v1 v2 console dashboard manager phpmyadmin wp-admin wp-login.php wp-content'.split(
    ' ',
  ),
  ...'.env .env.local .env.production .git/config .git/HEAD .svn/entries .htaccess .htpasswd .aws/credentials .ssh/id_rsa .npmrc'.split(
    ' ',
  ),
  ...'config.php config.json config.yml settings.py web.config composer.json package.json docker-compose.yml Dockerfile Makefile'.split(
    ' ',
  ),
  ...'server-status server-info actuator actuator/env actuator/health swagger.json swagger-ui.html api-docs graphql graphiql'.split(' '),
  ...'backup.zip backup.sql dump.sql db.sqlite database.sql site.tar.gz www.zip index.php index.jsp index.asp info.php phpinfo.php'.split(
    ' ',
  ),
  ...'cgi-bin cgi-bin/test.cgi shell.php cmd.php upload uploads files download images img css js static assets media public private'.split(
    ' ',
  ),
  ...'robots.txt sitemap.xml favicon.ico crossdomain.xml humans.txt readme.txt README.md CHANGELOG.txt LICENSE INSTALL'.split(' '),
  ...'user users account accounts profile register signup signin logout auth oauth token session sessions password reset'.split(' '),
  ...'search help about contact news blog forum shop cart order orders payment invoice report reports stats metrics status health'.split(
    ' ',
  ),
  ...'solr jenkins jira confluence nagios grafana kibana prometheus consul vault etcd redis mongo mysql adminer pma webmail roundcube'.split(
    ' ',
  ),
]

export const commonNames: readonly string[] = 'admin root ada test user guest operator editor film filmgate demo info'.split(' ')

export const commonPasswords: readonly string[] =
  '123456 password 12345678 qwerty 123456789 letmein dragon baseball football monkey abc123 master sunshine princess welcome shadow ashley superman iloveyou trustno1'.split(
    ' ',
  )
