-- Keeps one alert. All of it happens or nothing.
-- KEYS: events, counter, times, seen
-- ARGV: identity, now (ms), max age (ms), max events, floor, prefix, field, value, ...
local events, counter, times, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, now, age, most, floor, prefix = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]

local known = redis.call('HGET', seen, id)
if known then
  return tonumber(known)
end

-- Above all indexes that are there, and all that the caller has seen.
local last = tonumber(redis.call('GET', counter) or '0')
if redis.call('EXISTS', counter) == 0 then
  for _, n in ipairs(redis.call('SMEMBERS', events)) do
    local index = tonumber(n)
    if index then
      last = math.max(last, index)
      redis.call('ZADD', times, 'NX', now, n)
    end
  end
end
local index = string.format('%.0f', math.max(last, floor) + 1)
while redis.call('EXISTS', prefix .. index) == 1 do
  index = string.format('%.0f', tonumber(index) + 1)
end
redis.call('SET', counter, index)

redis.call('HSET', prefix .. index, 'event-id', index, unpack(ARGV, 7))
redis.call('SADD', events, index)
redis.call('ZADD', times, now, index)
redis.call('HSET', seen, id, index)

-- A bounded number of old ones goes each time.
local old = redis.call('ZRANGEBYSCORE', times, '-inf', now - age, 'LIMIT', 0, 100)
local over = redis.call('ZCARD', times) - #old - most
if over > 0 then
  for _, n in ipairs(redis.call('ZRANGE', times, #old, #old + math.min(over, 100) - 1)) do
    table.insert(old, n)
  end
end
for _, n in ipairs(old) do
  local was = redis.call('HGET', prefix .. n, 'alert-id')
  if was then
    redis.call('HDEL', seen, was)
  end
  redis.call('DEL', prefix .. n)
  redis.call('SREM', events, n)
  redis.call('ZREM', times, n)
end
return tonumber(index)
