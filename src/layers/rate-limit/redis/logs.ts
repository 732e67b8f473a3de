/**
 * The part of the limiter's script that knows how logs are kept: what `event-log.ts` is for one process.
 *
 * An identity is a hash with a field for each scope. The value of a field is
 *     shape    a byte: how many logs; then for each its kind ('e', 'c' or 'r') and its length in microseconds (a double)
 *     lengths  of the logs in bytes, two bytes each
 *     logs     little-endian doubles:
 *              e  exact    the moment of each unit, oldest first
 *              c  coarse   a base, then for each sixtieth of the window in which anything happened: the latest moment in it, and the running
 *                          total of units. Totals are counted from the base, so that the oldest entries can be cut off.
 *              r  rate     the moment of the latest unit, and how far beyond it the theoretical arrival time lies (GCRA)
 * The shape comes from `plan.ts`. A log ends up nowhere longer than 256 units or 62 sixtieths.
 */
export const logsLua = `
local pack, unpack, sub, floor = struct.pack, struct.unpack, string.sub, math.floor
local EPSILON = 0.001 -- of a rate, in microseconds: what the rounding of doubles may take

-- How the entries of a log lie in its string: bytes before the first, and bytes of each. An entry begins with its moment.
local HEAD = { e = 0, c = 8, r = 0 }
local SIZE = { e = 8, c = 16, r = 16 }

local function momentAt(log, index) -- the first is 0
  return (unpack('<d', log.body, log.head + index * log.size + 1))
end

-- Units before entry index, from the beginning of time.
local function totalBefore(log, index)
  if log.kind == 'e' then return index end
  if log.count == 0 then return 0 end
  if index == 0 then return (unpack('<d', log.body, 1)) end
  return (unpack('<d', log.body, index * 16 + 1))
end

-- The oldest entry that a window still counts: less than its length has passed. log.count when there is none.
local function firstInside(log, length)
  local low, high = 0, log.count
  if high == 0 or now - momentAt(log, high - 1) >= length then return high end
  if now - momentAt(log, 0) < length then return 0 end
  while low < high do
    local middle = floor((low + high) / 2)
    if now - momentAt(log, middle) >= length then low = middle + 1 else high = middle end
  end
  return low
end

local function opened(kind, length, body)
  local head, size = HEAD[kind], SIZE[kind]
  local count = #body == 0 and 0 or (#body - head) / size
  local log = { kind = kind, length = length, body = body, head = head, size = size, count = count, changed = false }
  -- Redis' clock went back. What happened after now happened now, and that is written down at once: else nobody's time would ever be up.
  if log.count > 0 and momentAt(log, log.count - 1) > now then
    local first = log.count - 1
    while first > 0 and momentAt(log, first - 1) > now do first = first - 1 end
    local kept = sub(body, 1, log.head + first * log.size)
    if kind == 'e' then
      log.body = kept .. string.rep(pack('<d', now), log.count - first)
    else
      log.body = kept .. pack('<d', now) .. sub(body, -8)
      log.count = first + 1
    end
    log.changed = true
  end
  return log
end

-- The logs in a value, in the order of its own shape.
local function logsIn(value)
  local logs = {}
  local count = string.byte(value, 1)
  local at = 2 + count * 11
  for i = 0, count - 1 do
    local kind, length = sub(value, 2 + i * 9, 2 + i * 9), unpack('<d', value, 3 + i * 9)
    local bytes = unpack('<I2', value, 2 + count * 9 + i * 2)
    logs[i + 1] = opened(kind, length, sub(value, at, at + bytes - 1))
    at = at + bytes
  end
  return logs
end

local function append(log, moment, units)
  if log.kind == 'e' then
    log.body = log.body .. (units == 1 and pack('<d', moment) or string.rep(pack('<d', moment), units))
    log.count = log.count + units
    return
  end
  if log.count == 0 then
    log.body = pack('<ddd', 0, moment, units)
    log.count = 1
    return
  end
  local total = totalBefore(log, log.count) + units
  local quantum = log.length / 60
  if floor(momentAt(log, log.count - 1) / quantum) == floor(moment / quantum) then
    log.body = sub(log.body, 1, -17) .. pack('<dd', moment, total)
  else
    log.body = log.body .. pack('<dd', moment, total)
    log.count = log.count + 1
  end
end

-- Drops what no window counts any more.
local function trim(log)
  local first = firstInside(log, log.length)
  if first == 0 then return end
  if first == log.count then
    log.body = ''
  elseif log.kind == 'e' then
    log.body = sub(log.body, first * 8 + 1)
  else
    log.body = pack('<d', totalBefore(log, first)) .. sub(log.body, 9 + first * 16)
  end
  log.count = log.count - first
end

-- The limits of the scope have changed, and with them the kinds of its logs: 200 in a day are remembered one by one, 300 are not. What the
-- former logs know is told to the new ones, each moment by the finest that reaches back so far; never less, and never for a shorter time.
local function adopted(shape, former)
  local fresh = logsIn(shape .. string.rep('\\0', string.byte(shape, 1) * 2))
  local sources = {}
  for _, old in ipairs(former) do
    if old.kind == 'r' then
      for _, log in ipairs(fresh) do
        if log.kind == 'r' and log.length == old.length and log.count == 0 then
          log.body, log.count, old.length = old.body, old.count, -1
        end
      end
    else
      trim(old)
      sources[#sources + 1] = old
    end
  end
  table.sort(sources, function(a, b)
    if a.kind ~= b.kind then return a.kind == 'e' end
    return a.length < b.length
  end)
  local entries, edge = {}, math.huge -- sources know all that happened after now - length; coarser ones add what was before
  for _, old in ipairs(sources) do
    local quantum = old.kind == 'c' and old.length / 60 or 0
    for i = 0, old.count - 1 do
      local moment = momentAt(old, i)
      if moment - quantum <= edge then
        entries[#entries + 1] = { moment, totalBefore(old, i + 1) - totalBefore(old, i) }
      end
    end
    edge = math.min(edge, now - old.length)
  end
  table.sort(entries, function(a, b) return a[1] < b[1] end)
  for _, log in ipairs(fresh) do
    if log.kind ~= 'r' then
      for _, entry in ipairs(entries) do
        -- No limit of an exact log is above 256.
        append(log, entry[1], log.kind == 'e' and math.min(entry[2], 256) or entry[2])
      end
      if log.kind == 'e' and log.count > 256 then
        log.body, log.count = sub(log.body, -256 * 8), 256
      end
      trim(log)
    end
    log.changed = true
  end
  return fresh
end

local function open(key, quota)
  local shape = quota[3]
  local value = redis.call('HGET', key, quota[2])
  if not value then return logsIn(shape .. string.rep('\\0', string.byte(shape, 1) * 2)) end
  if sub(value, 1, #shape) == shape then return logsIn(value) end
  return adopted(shape, logsIn(value))
end

local function write(key, quota, logs)
  local lengths, bodies = '', ''
  for i = 1, #logs do
    lengths = lengths .. pack('<I2', #logs[i].body)
    bodies = bodies .. logs[i].body
  end
  local added = redis.call('HSET', key, quota[2], quota[3] .. lengths .. bodies)
  -- The hash lives as long as the longest of its scopes. GT does not touch a key that has no end yet.
  if added == 1 and redis.call('PTTL', key) == -1 then
    redis.call('PEXPIRE', key, quota[4])
  else
    redis.call('PEXPIRE', key, quota[4], 'GT')
  end
end
`
