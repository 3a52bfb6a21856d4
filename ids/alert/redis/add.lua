-- Keeps one alert. All of it happens or nothing.
-- KEYS: events, counter, order, seen
-- ARGV: identity, now (ms), max age (ms), max events, floor, prefix, field, value, ...
local events, counter, order, seen = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
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
      redis.call('ZADD', order, index, n)
      redis.call('HSETNX', prefix .. n, 'kept-at', now)
    end
  end
end
local index = string.format('%.0f', math.max(last, floor) + 1)
while redis.call('EXISTS', prefix .. index) == 1 do
  index = string.format('%.0f', tonumber(index) + 1)
end
redis.call('SET', counter, index)

redis.call('HSET', prefix .. index, 'event-id', index, 'kept-at', now, unpack(ARGV, 7))
redis.call('SADD', events, index)
redis.call('ZADD', order, index, index)
redis.call('HSET', seen, id, index)

-- The oldest go, a bounded number each time.
local over = redis.call('ZCARD', order) - most
for i, n in ipairs(redis.call('ZRANGE', order, 0, 99)) do
  local old = prefix .. n
  local kept = tonumber(redis.call('HGET', old, 'kept-at') or '0')
  if n == index or (i > over and kept > now - age) then
    break
  end
  local was = redis.call('HGET', old, 'alert-id')
  if was then
    redis.call('HDEL', seen, was)
  end
  redis.call('DEL', old)
  redis.call('SREM', events, n)
  redis.call('ZREM', order, n)
end
return tonumber(index)
