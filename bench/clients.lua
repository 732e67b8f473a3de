-- Exactly so many requests, then a mark on stdout (wrk itself knows only a duration, and sleeps it out until it is interrupted).
-- args: number of requests, number of clients. More than one client: each is an address in X-Forwarded-For, taken in turn.
counters = { 'admitted', 'refused', 'other' }
dofile(debug.getinfo(1, 'S').source:match('^@(.*/)') .. 'summary.lua')

-- An odd factor permutes the 2^28 addresses of 32.0.0.0 to 47.255.255.255: scattered as clients are, and none comes twice.
local ADDRESSES, FACTOR = 2 ^ 28, 40503 * 4097
local floor = math.floor

admitted, refused, other = 0, 0, 0
local requests, clients, sent = 0, 1, 0
local head, plain

local function address(n)
  local v = (n * FACTOR) % ADDRESSES
  return string.format('%d.%d.%d.%d', 32 + floor(v / 2 ^ 24), floor(v / 2 ^ 16) % 256, floor(v / 256) % 256, v % 256)
end

function init(args)
  requests, clients = tonumber(args[1]), tonumber(args[2])
  plain = wrk.format('GET', '/')
  head = 'GET / HTTP/1.1\r\nHost: ' .. wrk.headers['Host'] .. '\r\nX-Forwarded-For: '
end

function request()
  if clients == 1 then
    return plain
  end
  local n = sent % clients
  sent = sent + 1
  return head .. address(n) .. '\r\n\r\n'
end

function response(status)
  if status == 200 then
    admitted = admitted + 1
  elseif status == 429 then
    refused = refused + 1
  else
    other = other + 1
  end
  if admitted + refused + other == requests then
    wrk.thread:stop()
    io.write('REACHED\n')
    io.flush()
  end
end
