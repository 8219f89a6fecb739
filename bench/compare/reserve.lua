#!lua name=ledger
-- The reservation as a Redis function.
--
-- Shapes: `s:SKU` is what is available of a SKU; the hold's key is its id and holds `LINES=ANSWER`; the sorted set `holds` has every live hold by
-- the millisecond at which it ends. A key's own expiry will not do, because stock must come back with it: `expire` does both.
-- Few commands make a fast function: everything is read by one MGET and written by one MSET, which is also what the append-only file gets.

-- KEYS: hold, then a stock key a line. ARGV: milliseconds to live, then a quantity a line.
-- Answers what remains of each line's SKU, with spaces between; the same again for the same id and lines.
local function reserve(keys, argv)
  local call = redis.call -- not there yet while the library loads
  local lines = table.concat(keys, ' ', 2) .. ' ' .. table.concat(argv, ' ', 2)
  local found = call('MGET', unpack(keys))
  if found[1] then
    local cut = string.find(found[1], '=', 1, true)
    if string.sub(found[1], 1, cut - 1) == lines then return string.sub(found[1], cut + 1) end
    return redis.error_reply('REUSED the id belongs to other lines')
  end
  local left, write, answer = {}, {}, {}
  for i = 2, #keys do -- all are looked at before any is written; two lines may want the same SKU
    local key, want = keys[i], argv[i] + 0
    local have = left[key] or (found[i] or 0) + 0
    if have < want then return redis.error_reply('SHORT ' .. key .. ' ' .. have) end
    left[key] = have - want
  end
  for i = 2, #keys do
    local rest = left[keys[i]] .. ''
    answer[i - 1] = rest
    write[i * 2 - 3] = keys[i]
    write[i * 2 - 2] = rest
  end
  answer = table.concat(answer, ' ')
  write[#write + 1] = keys[1]
  write[#write + 1] = lines .. '=' .. answer
  call('MSET', unpack(write))
  local now = call('TIME')
  call('ZADD', 'holds', now[1] * 1000 + math.floor(now[2] / 1000) + argv[1], keys[1])
  return answer
end

-- ARGV: the millisecond it is, how many at most. Ends holds whose time is over, oldest first, and gives back their stock. Answers how many.
local function expire(_, argv)
  local call = redis.call
  local over = call('ZRANGE', 'holds', '-inf', argv[1], 'BYSCORE', 'LIMIT', 0, argv[2])
  for _, id in ipairs(over) do
    local words = {}
    for word in string.gmatch(string.match(call('GET', id), '^[^=]*'), '%S+') do words[#words + 1] = word end
    local lines = #words / 2
    for i = 1, lines do call('INCRBY', words[i], words[i + lines]) end
    call('DEL', id)
    call('ZREM', 'holds', id)
  end
  return #over
end

redis.register_function('reserve', reserve)
redis.register_function('expire', expire)
