import type { Tag } from './rule.ts'

/**
 * What attacks look like, in text as `request-text.ts` makes it: small letters, lines, single blanks. No pattern may nest one repetition in
 * another or let two of them share characters: each takes time in proportion to the text.
 */
export interface TagPattern {
  readonly tag: Tag
  readonly pattern: RegExp
}

const anyOf = (...sources: readonly string[]): RegExp => new RegExp(sources.map((source) => `(?:${source})`).join('|'))

const { raw } = String

/** The end of a line of text. */
const end = '(?=\n|$)'

/** Paths that lead nowhere and that nothing but a robots.txt, where whoever obeys stays away from them, ever named. */
export const honeyPrefix = '/v1/internal/'

/** What nobody types, links to or guesses but who looks for what others left lying about: one is enough. */
const honeyPaths = anyOf(
  `^${honeyPrefix}`,
  raw`^/\.git/(?:config|head|index|logs)`,
  raw`^/\.aws/(?:credentials|config)$`,
  raw`^/\.ssh/(?:id_[a-z0-9]+|authorized_keys)$`,
  raw`^/wp-config\.php[.~](?:bak|old|save|swp|txt)?$`,
  raw`^/(?:v1/)?actuator/(?:heapdump|env)$`,
  raw`^/vendor/phpunit/`,
  raw`^/filmgate-data(?:/|$)`,
)

const sensitiveFiles = anyOf(
  raw`/\.(?:env|git|svn|hg|bzr|aws|ssh|azure|gcloud|docker|kube|npmrc|yarnrc|pypirc|netrc|pgpass|htaccess|htpasswd|ds_store|bash_history|bashrc|profile|viminfo|vscode|idea|claude|cursor|gitlab-ci|travis|circleci|terraform|s3cfg)(?:[/._~-]|$)`,
  raw`\.(?:sql|bak|bkp|backup|old|orig|swp|swo|tar|tgz|gz|bz2|zip|rar|7z|sqlite|sqlite3|mdb|dump|pem|p12|pfx|jks|ppk|kdbx|ini|conf|inc)$`,
  raw`/(?:web\.config|wp-config\.php|config(?:uration)?\.(?:php|json|ya?ml|xml|inc|js)|settings\.(?:py|json|php)|docker-compose\.ya?ml|dockerfile|composer\.(?:json|lock)|package(?:-lock)?\.json|yarn\.lock|gemfile|phpinfo\.php|info\.php|server-(?:status|info)|id_(?:rsa|dsa|ecdsa|ed25519)|secrets?\.(?:json|ya?ml|txt|toml)|credentials\.(?:json|xml|txt)|database\.ya?ml|appsettings\.json|error_log|master\.key|starter\.key|filmgate\.toml)$`,
)

const adminInterfaces = anyOf(
  raw`^/(?:wp-(?:admin|login|content|includes|json|cron)|wordpress|xmlrpc|phpmyadmin|pma|myadmin|mysqladmin|adminer|administrator|admin|sysadmin|webadmin|jenkins|hudson|solr|actuator|jmx-console|web-console|cpanel|webmin|whm|plesk|cgi-bin|typo3|joomla|drupal|magento|roundcube|owa|ecp|autodiscover|boaform|hnap1|dana-na|remote/login|manager/html|_ignition|telescope|druid|nacos|geoserver|struts2?|invoker|axis2|portainer)(?:[/._-]|$)`,
  // A server of another kind than this one.
  raw`\.(?:php\d?|phtml|asp|aspx|ashx|asmx|jsp|jspx|jspa|cgi|cfm|do|action|dll|exe)$`,
)

const traversal = anyOf(
  // A whole segment: three dots begin many a title.
  raw`(?:^|[\n/\\=;])\.\.(?:[/\\;]|${end})`,
  raw`\.{4,}[/\\]{2}`,
  raw`\xc0[\xae\xaf]`,
  raw`/etc/(?:passwd|shadow|group|hosts|issue|ssh|nginx|apache2)`,
  raw`/proc/(?:self|version|\d+)/?`,
  raw`\b[a-z]:[/\\](?:windows|winnt|boot\.ini|inetpub)`,
  raw`\b(?:win|boot)\.ini\b`,
  raw`\bweb-inf/`,
  raw`\b(?:php|expect|phar|zip|glob)://`,
  raw`\bfile:/{1,3}[a-z]`,
)

/** A number, a quoted text or a word, compared with another. */
const compared = raw`[ ('"]{0,8}-?\w[\w*+]{0,24}[ '")]{0,8}(?:=|<|>|!=|<=>) {0,2}[('"]{0,8}-?\w`

const sql = anyOf(
  raw`\bunion (?:all |distinct )?\(?select\b`,
  raw`\bselect (?:\*|null\b|@@|count\(|char\(|chr\(|concat|group_concat|distinct |top \d|case when|sleep|pg_|user\(|version\(|\(|\d{1,6} ?[,)]|'[^'\n]{0,40}' ?[,)])`,
  raw`\b(?:from|into|join|table) \(?(?:information_schema|sqlite_|pg_|mysql\.|sysobjects|sys\.|msysobjects|dual\b|rdb\$|sysibm)`,
  raw`\bselect [^\n]{1,80} from [\w.]{1,40}(?: where |;| limit |\)|--| ?${end})(?<=where |;|limit |\)|--|users?|accounts?|api_keys|sessions|films|votes)`,
  raw`\binsert into \w{1,40} ?(?:\(|values|select)`,
  raw`\bdelete from \w{1,40} ?(?:where|;|--)`,
  raw`\bupdate \w{1,40} set \w{1,40} ?=`,
  raw`[;'")\d] ?drop (?:table|database|schema|view|index|user)\b`,
  raw`\b(?:alter|truncate|create) table \w`,
  raw`\b(?:sleep|pg_sleep|benchmark|randomblob|zeroblob|extractvalue|updatexml|load_extension|load_file|make_set|elt|json_keys|ifnull|nullif|unhex|hex|sqlite_version|group_concat|char|chr|ascii|substr|substring|row|cast|convert|exp|floor|rand|ctxsys\.\w{1,20}\.\w{1,20}|dbms_\w{1,20}\.\w{1,30}|utl_\w{1,20}\.\w{1,30}|ord|mid)\((?:\d|'|"|\(|select|0x|concat|char|chr|hex|upper|~|null|x'|@@)`,
  raw`\bxp_\w{4,30}`,
  raw`\bwaitfor (?:delay|time)\b`,
  raw`\bdeclare @\w`,
  raw`\bcase when \(?`,
  raw`@@(?:version|hostname|datadir)`,
  raw`\border by \d{1,5} ?(?:--|#|;|,)`,
  raw`['")\d] ?\)?order by \d{1,5}`,
  raw`\bgroup by [\w.,]{1,40} having\b`,
  raw`\bprocedure analyse ?\(`,
  raw`\binto (?:out|dump)file\b`,
  raw`\b(?:and|or|xor|having|where|rlike|when|not)\b${compared}`,
  raw`\b(?:and|or) (?:not )?\d{1,10} (?:like|between|in|rlike|regexp|is) ?[('"\d]`,
  raw`\b(?:and|or|rlike|where) \(?\(?(?:select|exists ?\(|sleep|case)\b[ (]`,
  raw`['"]\)* ?(?:or|and|\|\||&&) ?\(*(?:['"][^'"\n]{0,40}['"]|\d{1,10}) ?(?:=|<|>|!=|like |in ?\(|between )`,
  raw`['"]\)* ?\|\| ?['"(\w]`,
  raw`['"]\)*(?:(?:--|#)(?: ?-| \w{0,4})?| (?:--|#) ?-?)${end}`,
  // Brackets and quotes behind a number, to see what breaks.
  raw`(?:^|\n)-?\d{1,15}[).,]{0,6}['"(][()'",.]{0,10}${end}`,
  raw`\d\)* ?-- ?-${end}`,
  raw`['"]\)* ?; ?(?:select|insert|update|delete|drop|create|alter|exec|declare|waitfor|begin|shutdown|--|#)`,
  raw`\b0x[0-9a-f]{10,}`,
  // MongoDB and its like.
  raw`\[\$(?:ne|eq|gt|gte|lt|lte|in|nin|or|and|not|regex|where|exists|expr)\]`,
  raw`(?:^|\n)\$(?:ne|eq|gt|gte|lt|lte|in|nin|or|and|not|regex|where|exists|expr|function)${end}`,
)

/** Programs that say who and where one is. */
const looks = 'id|whoami|uname|hostname|ifconfig|ipconfig|netstat|printenv|env|pwd|systeminfo'
const programs =
  'cat|ls|dir|type|wget|curl|nc|ncat|bash|sh|ping|sleep|nslookup|dig|powershell|cmd|chmod|rm|touch|python3?|perl|php|echo|set'

const command = anyOf(
  raw`[;|&\x60]{1,2} ?(?:/bin/|/usr/bin/)?(?:${looks})(?: ?[;|&\x60)]| -\w|${end})`,
  raw`[;|&\x60]{1,2} ?(?:/bin/|/usr/bin/)?(?:${programs}) (?:-\w|/|\d|https?:|\$|\.\.?/|[\w.-]{1,60}\.(?:php|sh|txt|com|net)\b)`,
  raw`[|&\x60]{1,2} ?set ?[;|&\x60]`,
  raw`\$\((?:${looks}|${programs})[ )]`,
  raw`\$\{ifs\}`,
  raw`/bin/(?:sh|bash|cat|ls|id|nc)\b`,
  raw`\bcmd(?:\.exe)? ?/c\b`,
  raw`\bpowershell(?:\.exe)? -\w`,
  raw`\(\) ?\{ ?:;? ?\}`,
  raw`\$\{(?:jndi|env|sys|lower|upper|java|::-)`,
  raw`\ballow_url_include\b|\bauto_prepend_file\b`,
  raw`\b(?:system|passthru|shell_exec|popen|proc_open|phpinfo|base64_decode)\(`,
)

const script = anyOf(
  raw`<\/?(?:script|iframe|svg|img|body|object|embed|video|audio|details|math|marquee|base|form|input)\b`,
  raw`<['"]|['"]>`,
  raw`\bon(?:error|load|click|focus|mouse\w{2,6}|toggle|begin|start|pointer\w{2,8}|animation\w{3,9}) ?=`,
  raw`\bjavascript:`,
  raw`\bdata:text/html`,
  raw`\b(?:alert|prompt|confirm)(?:\(|\x60)[\d'"/\x60d]`,
  raw`\bdocument\.(?:cookie|domain|location)\b`,
  raw`<!(?:entity|doctype|\[cdata)`,
  raw`<\?(?:xml|php)`,
)

const template = anyOf(
  raw`\{\{ ?['"\d(]{1,12} ?[*+-] ?`,
  raw`[$#*@]\{ ?['"\d(]{1,12} ?[*+-] ?`,
  raw`\{\{ ?(?:config|self|request|cycler|lipsum|url_for|range|this|constructor)\b`,
  raw`<%=? ?['"\d(]`,
  raw`\$\{@?(?:print|t\(|class|run)`,
  raw`__(?:proto|class|mro|subclasses|globals|builtins|import)__`,
  raw`\bconstructor[.[]['"]?(?:prototype|constructor)`,
  raw`\b(?:process\.(?:env|mainmodule)|child_process)\b`,
)

/** Of the path of a request that no route matched. */
export const pathPatterns: readonly TagPattern[] = [
  { tag: 'honey_route', pattern: honeyPaths },
  { tag: 'sensitive_file', pattern: sensitiveFiles },
  { tag: 'admin_interface', pattern: adminInterfaces },
]

/** Of everything that a client can write. */
export const textPatterns: readonly TagPattern[] = [
  { tag: 'traversal', pattern: traversal },
  { tag: 'sql', pattern: sql },
  { tag: 'command', pattern: command },
  { tag: 'script', pattern: script },
  { tag: 'template', pattern: template },
  { tag: 'link', pattern: /\bhttps?:\/\/\w|\bwww\.[\w-]{2,60}\.[a-z]{2,10}\// },
]
