-- What every run prints at its end: one line of JSON after a mark, so that nobody has to parse wrk's table for people.
-- `counters` names globals of the load thread; their sums are part of the line. wrk counts a status above 399 as a status error.
counters = counters or {}
local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

local function counted(name)
  local sum = 0
  for _, thread in ipairs(threads) do
    sum = sum + (thread:get(name) or 0)
  end
  return string.format('"%s":%d', name, sum)
end

function done(summary, latency)
  local errors = summary.errors
  local sums = {}
  for i, name in ipairs(counters) do
    sums[i] = counted(name)
  end
  io.write(string.format(
    'SUMMARY {"requests":%d,"seconds":%.6f,"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"p50Ms":%.3f,"p99Ms":%.3f,"counters":{%s}}\n',
    summary.requests, summary.duration / 1e6, errors.status, errors.connect, errors.read, errors.write, errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, table.concat(sums, ',')
  ))
end
