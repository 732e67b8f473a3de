/**
 * Decisions in Redis: `head` holds the epoch (random; another one where Redis came back empty) and the number of the last change; `log` has the
 * changes by their numbers, `bodies` what they say, `ends` when they are over. A change is named `d` or `l` (decided, lifted) and the id. All keys lie
 * in one slot of a cluster. Answers never depend on which of them is there: a server that forgets some keys is one that came back empty.
 */
const names = 'local head, log, bodies, ends = KEYS[1], KEYS[2], KEYS[3], KEYS[4]\n'

/**
 * ARGV: an epoch for an empty server, the most changes to keep, then of each change its kind, id, body and end (epoch milliseconds). What is known
 * already, or known to be lifted, changes nothing. What is over goes, and of too many the oldest: at most a thousand at once, so that the limiter,
 * which shares the server, waits for no more than about a millisecond.
 */
export const publishScript = `${names}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HSETNX', head, 'epoch', ARGV[1]) == 1 then redis.call('DEL', log, bodies, ends) end
local function drop(name)
  redis.call('ZREM', log, name)
  redis.call('HDEL', bodies, name)
  redis.call('ZREM', ends, name)
end
for i = 3, #ARGV, 4 do
  local kind, id, body, over = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local decided = redis.call('ZSCORE', ends, 'd' .. id)
  if not redis.call('ZSCORE', ends, 'l' .. id) and not (kind == 'd' and decided) then
    if decided then
      over = decided
      drop('d' .. id)
    end
    if tonumber(over) > now then
      local name = kind .. id
      redis.call('ZADD', log, redis.call('HINCRBY', head, 'seq', 1), name)
      redis.call('HSET', bodies, name, body)
      redis.call('ZADD', ends, over, name)
    end
  end
end
for _, name in ipairs(redis.call('ZRANGE', ends, '-inf', now, 'BYSCORE', 'LIMIT', 0, 1000)) do drop(name) end
local excess = redis.call('ZCARD', log) - tonumber(ARGV[2])
if excess > 0 then
  for _, name in ipairs(redis.call('ZRANGE', log, 0, math.min(excess, 1000) - 1)) do drop(name) end
end
local last = redis.call('ZRANGE', ends, -1, -1, 'WITHSCORES')[2]
if last then
  for _, key in ipairs({ log, bodies, ends }) do redis.call('PEXPIREAT', key, string.format('%.0f', last + 60000)) end
end
return 1`

/**
 * ARGV: the epoch and the number that are known, and how many changes are wanted. Answers with the epoch, the newest number, the number up to which the
 * answer goes, and the bodies behind the known number; from the beginning where the epoch is another or the numbers went back.
 */
export const readScript = `${names}
local known = redis.call('HMGET', head, 'epoch', 'seq')
local epoch, seq, since = known[1] or '', tonumber(known[2] or '0'), tonumber(ARGV[2])
if epoch == ARGV[1] and seq == since then return { epoch, seq, seq } end
if epoch ~= ARGV[1] or seq < since then since = 0 end
local found = redis.call('ZRANGE', log, '(' .. string.format('%.0f', since), '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[3], 'WITHSCORES')
if #found == 0 then return { epoch, seq, seq } end
local wanted = {}
for i = 1, #found, 2 do wanted[#wanted + 1] = found[i] end
local upTo = #wanted < tonumber(ARGV[3]) and seq or tonumber(found[#found])
local answer = redis.call('HMGET', bodies, unpack(wanted))
return { epoch, seq, upTo, unpack(answer) }`

/** ARGV: kinds and ids. Answers with the places, from 0, of those that are not known. */
export const lackingScript = `${names}
local lacking = {}
for i = 1, #ARGV, 2 do
  local lifted = redis.call('ZSCORE', ends, 'l' .. ARGV[i + 1])
  if not lifted and not (ARGV[i] == 'd' and redis.call('ZSCORE', ends, 'd' .. ARGV[i + 1])) then lacking[#lacking + 1] = (i - 1) / 2 end
end
return lacking`
