-- Votes by GET on random films, each one the opposite of the vote before it, so that almost every vote changes a row.
-- args: number of films, votes per second (0 = as fast as 64 connections can).
counters = { 'recorded', 'unrecorded' }
dofile(debug.getinfo(1, 'S').source:match('^@(.*/)') .. 'summary.lua')

local ffi = require('ffi')
ffi.cdef [[
  typedef struct { long sec; long nsec; } bench_time;
  int clock_gettime(int clock, bench_time *time);
]]
local CLOCK_MONOTONIC = 1
local MAX_CATCH_UP_MS = 100

recorded, unrecorded = 0, 0
local films, gap_ms, slot_ms, like = 1, 0, 0, false

local function now_ms()
  local time = ffi.new('bench_time')
  ffi.C.clock_gettime(CLOCK_MONOTONIC, time)
  return tonumber(time.sec) * 1000 + tonumber(time.nsec) / 1e6
end

-- Votes have slots on one clock for all connections; a stall is caught up only for a moment, so that it does not end in a flood.
local function until_slot_ms()
  local now = now_ms()
  slot_ms = math.max(slot_ms + gap_ms, now - MAX_CATCH_UP_MS)
  return math.max(0, math.floor(slot_ms - now + 0.5))
end

function init(args)
  films = tonumber(args[1])
  local per_second = tonumber(args[2])
  math.randomseed(os.time())
  if per_second > 0 then
    gap_ms = 1000 / per_second
    delay = until_slot_ms
  end
end

function request()
  like = not like
  return wrk.format('GET', (like and '/?like=' or '/?dislike=') .. math.random(1, films))
end

function response(status, headers, body)
  if status == 200 and body:find('"recorded":true', 1, true) then
    recorded = recorded + 1
  else
    unrecorded = unrecorded + 1
  end
end
