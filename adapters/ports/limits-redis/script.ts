/**
 * The one script that counts, in Redis or Valkey: the arithmetic of `data-plane/limits/gcra.ts`, by the server's clock, so that
 * those of gateways do not matter. Every number is whole and below 2⁵³, which Lua's doubles count exactly.
 *
 * KEYS[1] says since when the server's memory is known to be whole: after a restart or a flush every bucket begins empty, and for
 * `holdMs` nothing concurrent is admitted, until every gateway has said what it has under way. KEYS[2…] are counters.
 * ARGV: what to do, the server's run id, '1' where this gateway has met this store before, who asks, `holdMs`, then fields per counter:
 *
 *   take    r|c, '1' = enforced, units, limit, span, tickMs, capacity  →  over, waitMs (-1 = never), left, fullMs, tick, debt, removed
 *   settle  r, units, used, limit, span, tick, debt, removed, tickMs, capacity; or c, units
 *   renew   how many are under way, '1' = whatever the server says
 *
 * A counter is `debt:tick:removed:born` and expires once it owes nothing; what is under way is a hash of `count:seen` by gateway, of
 * which one that was not renewed for `holdMs` counts no more.
 */
export const limitScript = `
local op, run, seen, holder, holdMs = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local store = redis.call('HMGET', KEYS[1], 'run', 'since')
local since = tonumber(store[2] or '0')
if store[1] ~= run then
  if store[1] or seen == '1' then since = now else since = 0 end
  redis.call('HSET', KEYS[1], 'run', run, 'since', since)
end

local function load(key, limit, span, tickMs, capacity)
  local tick = math.floor(now / tickMs)
  local text = redis.call('GET', key)
  if not text then
    local flowed = limit * math.max(0, tick - math.floor(since / tickMs))
    return { debt = math.max(0, capacity - flowed), tick = tick, removed = 0, born = tick }
  end
  local debt, at, removed, born = string.match(text, '^(%d+):(%d+):(%d+):(%d+)$')
  local level = { debt = tonumber(debt), tick = tonumber(at), removed = tonumber(removed), born = tonumber(born) }
  if tick > level.tick then
    level.debt = math.max(0, level.debt - limit * (tick - level.tick))
    level.tick = tick
  end
  return level
end

local function save(key, level, limit, tickMs)
  local text = string.format('%.0f:%.0f:%.0f:%.0f', level.debt, level.tick, level.removed, level.born)
  redis.call('SET', key, text, 'PX', string.format('%.0f', (math.ceil(level.debt / limit) + 1) * tickMs))
end

local function underWay(key)
  local all = redis.call('HGETALL', key)
  local total, own = 0, 0
  for at = 1, #all, 2 do
    local count, last = string.match(all[at + 1], '^(%d+):(%d+)$')
    if now - tonumber(last) > holdMs then redis.call('HDEL', key, all[at])
    else
      total = total + tonumber(count)
      if all[at] == holder then own = tonumber(count) end
    end
  end
  return total, own
end

local function hold(key, count)
  if count <= 0 then redis.call('HDEL', key, holder)
  else
    redis.call('HSET', key, holder, string.format('%.0f:%.0f', count, now))
    redis.call('PEXPIRE', key, holdMs * 2)
  end
end

if op == 'take' then
  local asks, refused = {}, false
  for at = 2, #KEYS do
    local from = 6 + (at - 2) * 7
    local ask = { key = KEYS[at], kind = ARGV[from], units = tonumber(ARGV[from + 2]), limit = tonumber(ARGV[from + 3]) }
    if ask.kind == 'r' then
      ask.span, ask.tickMs, ask.capacity = tonumber(ARGV[from + 4]), tonumber(ARGV[from + 5]), tonumber(ARGV[from + 6])
      ask.level = load(ask.key, ask.limit, ask.span, ask.tickMs, ask.capacity)
      local over = ask.level.debt + ask.units * ask.span - ask.capacity
      if over <= 0 then ask.wait = 0
      elseif ask.units * ask.span > ask.capacity then ask.wait = -1
      else ask.wait = math.ceil(over / ask.limit) * ask.tickMs end
    else
      ask.total, ask.own = underWay(ask.key)
      ask.wait = 0
      if ask.total + ask.units > ask.limit then ask.wait = 1000 end
      if since > 0 and now - since < holdMs then ask.wait = since + holdMs - now end
    end
    if ask.wait ~= 0 and ARGV[from + 1] == '1' then refused = true end
    asks[#asks + 1] = ask
  end
  local reply = { refused and 0 or 1 }
  for _, ask in ipairs(asks) do
    local takes = ask.wait == 0 and not refused
    if ask.kind == 'r' then
      local level = ask.level
      if takes and ask.units > 0 then
        level.debt = level.debt + ask.units * ask.span
        save(ask.key, level, ask.limit, ask.tickMs)
      end
      local left = math.max(0, math.floor((ask.capacity - level.debt) / ask.span))
      local full = math.ceil(level.debt / ask.limit) * ask.tickMs
      for _, value in ipairs({ ask.wait == 0 and 0 or 1, ask.wait, left, full, level.tick, level.debt, level.removed }) do
        reply[#reply + 1] = value
      end
    else
      if takes then hold(ask.key, ask.own + ask.units) end
      local left = math.max(0, ask.limit - ask.total - (takes and ask.units or 0))
      for _, value in ipairs({ ask.wait == 0 and 0 or 1, ask.wait, left, 0, 0, 0, 0 }) do reply[#reply + 1] = value end
    end
  end
  return reply
end

if op == 'settle' then
  local from = 6
  for at = 2, #KEYS do
    local units = tonumber(ARGV[from + 1])
    if ARGV[from] == 'c' then
      local _, own = underWay(KEYS[at])
      hold(KEYS[at], own - units)
      from = from + 2
    else
      local used, limit, span = tonumber(ARGV[from + 2]), tonumber(ARGV[from + 3]), tonumber(ARGV[from + 4])
      local tick, debt, removed = tonumber(ARGV[from + 5]), tonumber(ARGV[from + 6]), tonumber(ARGV[from + 7])
      local tickMs, capacity = tonumber(ARGV[from + 8]), tonumber(ARGV[from + 9])
      local level = load(KEYS[at], limit, span, tickMs, capacity)
      if used > units then level.debt = math.min(9007199254740991, level.debt + (used - units) * span)
      elseif level.born <= tick then
        local flowed = limit * math.max(0, level.tick - tick) + (level.removed - removed) * span
        local back = math.min(units - used, math.floor((debt - flowed) / span))
        if back > 0 then
          level.debt = math.max(0, level.debt - back * span)
          level.removed = level.removed + back
        end
      end
      if level.debt > 0 then save(KEYS[at], level, limit, tickMs) else redis.call('DEL', KEYS[at]) end
      from = from + 10
    end
  end
  return 1
end

for at = 2, #KEYS do
  local from = 6 + (at - 2) * 2
  local _, own = underWay(KEYS[at])
  if ARGV[from + 1] == '1' or own == 0 then own = tonumber(ARGV[from]) end
  hold(KEYS[at], own)
end
return 1
`
