import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parse } from 'smol-toml'
import { keyLines, type Path, pathName } from './toml-lines.ts'

test('every way to write a key has its line', () => {
  const toml = `# [server] port = 1
ops.port = 1                      # 2
[ server ]                        # 3
hosts = [                         # 4
  "a", # port = 9
  "]",
]
public_url = """
port = 9
[ops]
quote: "" \\""" """               # 8
'port' = 12                       # 12
"ho\\u0073t" = 'x = "'            # 13
[limits.routes]                   # 14
"GET /" = { only = "1 per day" }  # 15
"POST \\"#=\\" /" = '''
it's ''''
[[auth.issuers]]                  # 18
roles = { "a.b" = "x", c.d = 1.5 } # 19
since = 2026-01-01 10:00:00       # 20
list = [{ x = 1 },
  { y = [[2], []] }]              # 22
[auth.issuers.more]               # 23
x = 1                             # 24
[[auth.issuers]]                  # 25
url = ""                          # 26
[[auth.issuers.more]]             # 27
[[auth.issuers.more]]             # 28
x = 1                             # 29
`
  assert.doesNotThrow(() => parse(toml))
  const lineOf = keyLines(toml)
  const expected: readonly (readonly [number, Path])[] = [
    [2, ['ops', 'port']],
    [3, ['server']],
    [4, ['server', 'hosts']],
    [8, ['server', 'public_url']],
    [12, ['server', 'port']],
    [13, ['server', 'host']],
    [14, ['limits', 'routes']],
    [15, ['limits', 'routes', 'GET /', 'only']],
    [16, ['limits', 'routes', 'POST "#=" /']],
    [18, ['auth', 'issuers']],
    [18, ['auth', 'issuers', 0]],
    [19, ['auth', 'issuers', 0, 'roles', 'a.b']],
    [19, ['auth', 'issuers', 0, 'roles', 'c', 'd']],
    [20, ['auth', 'issuers', 0, 'since']],
    [21, ['auth', 'issuers', 0, 'list', 0, 'x']],
    [22, ['auth', 'issuers', 0, 'list', 1]],
    [22, ['auth', 'issuers', 0, 'list', 1, 'y', 0]],
    [24, ['auth', 'issuers', 0, 'more', 'x']],
    [25, ['auth', 'issuers', 1]],
    [26, ['auth', 'issuers', 1, 'url']],
    [25, ['auth', 'issuers', 1, 'roles']],
    [27, ['auth', 'issuers', 1, 'more']],
    [28, ['auth', 'issuers', 1, 'more', 1]],
    [29, ['auth', 'issuers', 1, 'more', 1, 'x']],
    // What has no line of its own has that of the table around it.
    [14, ['limits', 'routes', 'absent']],
    [1, ['absent']],
  ]
  for (const [line, path] of expected) assert.equal(lineOf(path), line, pathName(path))
})

test('Windows line ends and a byte order mark do not move lines', () => {
  const lineOf = keyLines('\ufeff[server]\r\nport = 1\r\nhost = "x"\r\n')
  assert.deepEqual([lineOf(['server']), lineOf(['server', 'port']), lineOf(['server', 'host'])], [1, 2, 3])
})

test('decoys in values and comments never count as keys', () => {
  const value = fc.constantFrom(
    '1',
    '"k1 = 2"',
    "'[t1]'",
    '"""\nk1 = 1\n[t2]\n"""',
    "'''\n{ k2 = ''\n'''",
    '[\n1,\n2 ]',
    '{ k9 = 1 }',
    '"#" # k1 = "',
    'true',
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), value), { maxLength: 20 }), (items) => {
      let [toml, table] = ['', [] as readonly string[]]
      const expected: (readonly [readonly string[], number])[] = []
      for (const [index, [header, text]] of items.entries()) {
        const path = header ? [`t${index}`] : [...table, `k${index}`]
        if (header) table = path
        expected.push([path, toml.split('\n').length])
        toml += header ? `[t${index}]\n` : `k${index} = ${text}\n`
      }
      assert.doesNotThrow(() => parse(toml))
      const lineOf = keyLines(toml)
      for (const [path, line] of expected) assert.equal(lineOf(path), line, toml)
    }),
  )
})

test('text that is not TOML is survived', () => {
  for (const text of ['a = [}', 'a = {]', 'a = [', '[', 'a = "']) assert.equal(keyLines(text)(['absent']), 1)
  const pieces = fc.array(fc.constantFrom('[', ']', '{', '}', '=', '.', ',', '"', "'", '"""', "'''", '\\', '\n', '#', 'a', ' '), {
    maxLength: 40,
  })
  fc.assert(fc.property(pieces, (parts) => assert.ok(keyLines(parts.join(''))(['a']) >= 1)))
})
