import { logsLua } from './logs.ts'

/**
 * The limiter inside Redis (7.0 or newer, or Valkey): what `decide.ts` and `event-log.ts` are for one process, atomic for all of them.
 * One call of the script works off all calls that an instance made in one turn of its event loop, one after the other.
 *
 * Time is Redis' own clock in whole microseconds, so all instances agree on it.
 *
 * The answer is one string of doubles: the moment, then for each consume or peek whether it is allowed (1 or 0) and for each window
 * what is used (units; of a rate the microseconds that its arrival time lies ahead), in how many microseconds more becomes available,
 * and how long to wait until the cost fits (0: it does; -1: never). The moment alone: the call came too late, nothing was done.
 */
export const limiterScript = `
local TIME = redis.call('TIME')
local now = TIME[1] * 1000000 + TIME[2]

-- Written too late: whoever sent this has given up waiting and decided without us.
if now > tonumber(ARGV[1]) then return struct.pack('<d', now) end

${logsLua}
-- Microseconds that the arrival time of a rate lies ahead. Never more than the rate now allows: a limit that was raised helps at once.
local function debtOf(log, ahead)
  if log.count == 0 then return 0 end
  local moment, debt = unpack('<dd', log.body)
  return math.max(0, math.min(debt - (now - moment), ahead))
end

-- What a window finds: what is used, and how long to wait until cost fits.
local function look(window, log, cost)
  local limit = window[3]
  if log.kind == 'r' then
    local interval, ahead = window[2], window[3]
    local debt = debtOf(log, ahead)
    local wait = debt + cost * interval - ahead
    if wait <= EPSILON then return debt, 0 end
    return debt, cost * interval > ahead + EPSILON and -1 or wait
  end
  local length = window[2]
  local first = firstInside(log, length)
  local before = totalBefore(log, first)
  local used = first == log.count and 0 or totalBefore(log, log.count) - before
  window.first = first
  if used + cost <= limit then return used, 0 end
  if cost > limit then return used, -1 end
  -- The entry with whose leaving enough units have left.
  local entry, excess = first, used + cost - limit
  if log.kind == 'e' then entry = first + excess - 1 else
    while totalBefore(log, entry + 1) - before < excess do entry = entry + 1 end
  end
  return used, length - (now - momentAt(log, entry))
end

-- In how many microseconds more of a window becomes available, once cost is counted.
local function resets(window, log, used, counts)
  if log.kind == 'r' then return 0 end -- told by what is used
  local length, last = window[2], log.count - 1
  if used == 0 then return counts and length or 0 end
  local oldest = momentAt(log, window.first)
  if counts and window.first == last and log.kind == 'c' then
    local quantum = log.length / 60
    if floor(oldest / quantum) == floor(now / quantum) then return length end
  end
  return length - (now - oldest)
end

local function count(quota, logs, cost)
  for _, log in ipairs(logs) do
    if log.kind ~= 'r' then
      trim(log)
      append(log, now, cost)
    end
  end
  for _, window in ipairs(quota[5]) do
    local log = logs[window[1]]
    if log.kind == 'r' then
      log.body = pack('<dd', now, window.used + cost * window[2])
      log.count = 1
    end
  end
end

-- Decides about all quotas together; counts only if every window has room. A cost of 0 only looks.
local function decide(plan, keys, cost, answer)
  local opens, allowed = {}, true
  for i, quota in ipairs(plan) do
    local logs = open(keys[quota[1]], quota)
    opens[i] = logs
    for _, window in ipairs(quota[5]) do
      local used, wait = look(window, logs[window[1]], cost)
      if wait ~= 0 then allowed = false end
      window.used, window.wait = used, wait
    end
  end
  local counts = allowed and cost > 0
  answer[#answer + 1] = pack('<d', allowed and 1 or 0)
  for i, quota in ipairs(plan) do
    local logs = opens[i]
    for _, window in ipairs(quota[5]) do
      answer[#answer + 1] = pack('<ddd', window.used, resets(window, logs[window[1]], window.used, counts), window.wait)
    end
    local changed = counts
    if counts then count(quota, logs, cost) end
    for _, log in ipairs(logs) do changed = changed or log.changed end
    if changed then write(keys[quota[1]], quota, logs) end
  end
end

-- Takes back cost units that were counted at a moment: of a log only those of that very moment, never younger ones, which would leave
-- too early. Of a rate that makes requests wait only if no later request has got its place in the queue after this one.
local function refund(plan, keys, cost, receipt)
  local at = unpack('<d', receipt)
  local arrival = 0
  for _, quota in ipairs(plan) do
    local logs = open(keys[quota[1]], quota)
    for _, log in ipairs(logs) do
      local index = log.count
      while index > 0 and momentAt(log, index - 1) > at do index = index - 1 end
      if log.kind == 'e' then
        local first = index
        while first > 0 and index - first < cost and momentAt(log, first - 1) == at do first = first - 1 end
        log.changed = log.changed or first < index
        log.body = sub(log.body, 1, first * 8) .. sub(log.body, index * 8 + 1)
        log.count = log.count - (index - first)
      elseif log.kind == 'c' then
        -- All units of a sixtieth have its latest moment.
        if index > 0 and momentAt(log, index - 1) == at then index = index - 1 end
        local quantum = log.length / 60
        if index < log.count and floor(momentAt(log, index) / quantum) == floor(at / quantum) then
          local units = math.min(cost, totalBefore(log, index + 1) - totalBefore(log, index))
          local entries = { sub(log.body, 1, 8 + index * 16) }
          for i = index, log.count - 1 do
            entries[#entries + 1] = pack('<dd', momentAt(log, i), totalBefore(log, i + 1) - units)
          end
          log.body, log.changed = table.concat(entries), true
        end
      end
    end
    for _, window in ipairs(quota[5]) do
      local log = logs[window[1]]
      arrival = arrival + 1
      if log.kind == 'r' and log.count > 0 then
        local moment, debt = unpack('<dd', log.body)
        if window[4] == 0 or math.abs(moment + debt - unpack('<d', receipt, arrival * 8 + 1)) < 1 then
          log.body, log.changed = pack('<dd', now, math.max(0, debtOf(log, window[3]) - cost * window[2])), true
        end
      end
    end
    for _, log in ipairs(logs) do
      if log.changed then
        write(keys[quota[1]], quota, logs)
        break
      end
    end
  end
end

-- What to do: for each call an operation, its plan, the cost and, for a refund, the receipt. Calls of one turn mostly share a plan.
local answer, plans, key = { pack('<d', now) }, {}, 0
for i = 2, #ARGV, 4 do
  local operation, encoded, cost = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  if operation == 'reset' then
    redis.call('DEL', KEYS[key + 1])
    key = key + 1
  else
    local plan = plans[encoded] or cmsgpack.unpack(encoded)
    plans[encoded] = plan
    local keys = { KEYS[key + 1], KEYS[key + 2] }
    key = key + plan[1]
    if operation == 'refund' then
      refund(plan[2], keys, cost, ARGV[i + 3])
    else
      decide(plan[2], keys, cost, answer)
    end
  end
end
return table.concat(answer)
`

/**
 * An instance says that it is there, and hears how many are: those of the last five seconds, by Redis' clock. Where that was set back, an
 * instance that has ended would stay for as long; so what lies in the future is dropped too.
 */
export const presenceScript = `
local TIME = redis.call('TIME')
local now = TIME[1] * 1000 + math.floor(TIME[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 5000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
redis.call('PEXPIRE', KEYS[1], 10000)
return redis.call('ZCARD', KEYS[1])
`
