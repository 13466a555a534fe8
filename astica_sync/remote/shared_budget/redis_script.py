"""The rule of ``budget_server`` as one script that Redis runs as a whole, on its own clock.

Four keys with one hash tag: the state, the requests under way, those that ended and still count, and who waits. The
score of a request is until when it counts. The name of a request ends with its timeout.
"""

SCRIPT = """
local state_key, open_key, done_key, waiting_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local op, nonce, distrusted, known_epoch = ARGV[1], ARGV[3], ARGV[9], ARGV[10]
local limit, window, margin = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local loss_rest, poll = tonumber(ARGV[7]), tonumber(ARGV[8])
local proofs = tonumber(ARGV[11])
local first = 12 + 2 * proofs
local function text(number) return string.format('%.6f', number) end

local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if not run then return redis.error_reply('NORUN the server has no run_id') end
local now
if ARGV[2] ~= '' then
  now = tonumber(ARGV[2])
else
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local names = {'form', 'run', 'epoch', 'wall', 'limit', 'limit_until', 'window', 'window_until', 'open', 'done',
  'blocked_until', 'blocked_hold', 'why', 'rest_since', 'rest_seconds', 'refusals', 'latency'}
local values = redis.call('HMGET', state_key, unpack(names))
local state = {}
for index, name in ipairs(names) do state[name] = values[index] or nil end
if state.form and state.form ~= '1' then return redis.error_reply('FORM the keys have another form') end
local function number(name) return tonumber(state[name]) or 0 end
local opened, done = redis.call('ZCARD', open_key), redis.call('ZCARD', done_key)

-- Memory that is full refuses this one as the first, and then nothing was changed.
redis.call('HSET', state_key, 'asked', text(now))
local why
if not state.epoch then why = 'new'
elseif state.run ~= run then why = 'restarted'
elseif number('open') ~= opened or number('done') ~= done then why = 'damaged'
elseif now < number('wall') - 0.001 * window or distrusted == state.epoch then why = 'clock'
end
if why then
  redis.call('DEL', open_key, done_key, waiting_key)
  opened, done = 0, 0
  state = {form = '1', run = run, epoch = nonce, why = why, wall = text(now), blocked_until = text(now + loss_rest),
    blocked_hold = text(loss_rest)}
end
now = math.max(now, number('wall'))
state.wall = text(now)

if not state.limit or limit <= number('limit') or now > number('limit_until') then
  state.limit, state.limit_until = text(limit), text(now + 10 * window)
end
if not state.window or window >= number('window') or now > number('window_until') then
  state.window, state.window_until = text(window), text(now + 10 * window)
end
limit, window = number('limit'), number('window')
local full = window * (1 + margin)

local function timeout_of(member) return tonumber(string.match(member, '|(.+)$')) end
local function proven(hold)
  if known_epoch ~= state.epoch then return nil end
  for index = 0, proofs - 1 do
    if tonumber(ARGV[12 + 2 * index]) >= hold then return math.min(now, tonumber(ARGV[13 + 2 * index])) end
  end
  return nil
end
local oldest = 0
if known_epoch == state.epoch and proofs > 0 then oldest = tonumber(ARGV[10 + 2 * proofs]) end
local function free_in(score, hold)
  local known = proven(hold)
  return known and score - known or math.max(score - now, hold - oldest)
end

local ended = proven(window)
if ended then
  local over = math.min(redis.call('ZCOUNT', done_key, '-inf', text(ended)), 10000)
  if over > 0 then done = done - redis.call('ZREMRANGEBYRANK', done_key, 0, over - 1) end
end
local lost = redis.call('ZRANGEBYSCORE', open_key, '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, 100)
for index = 1, #lost, 2 do
  local known = proven(timeout_of(lost[index]) + window)
  if known and tonumber(lost[index + 1]) <= known then opened = opened - redis.call('ZREM', open_key, lost[index]) end
end
if state.blocked_until then
  local known = proven(number('blocked_hold'))
  if known and number('blocked_until') <= known then
    state.blocked_until, state.blocked_hold, state.why = nil, nil, nil
  end
end

local function take(member, lane, who)
  redis.call('ZREMRANGEBYSCORE', waiting_key, '-inf', text(now))
  local ahead = 0
  for _, one in ipairs(redis.call('ZRANGE', waiting_key, 0, -1)) do
    if tonumber(string.sub(one, 1, 1)) < lane then ahead = ahead + 1 end
  end
  local used, places = opened + done, limit - ahead
  local seconds = 0
  if number('rest_since') <= now then seconds = number('rest_since') + number('rest_seconds') - now end
  if state.blocked_until then
    seconds = math.max(seconds, free_in(number('blocked_until'), number('blocked_hold')), 0.001)
  end
  if used >= places then
    if places <= 0 then
      seconds = math.huge
    else
      local rank, ends = math.min(used - places, 1000), {}
      local found = redis.call('ZRANGE', done_key, 0, rank, 'WITHSCORES')
      for index = 2, #found, 2 do ends[#ends + 1] = free_in(tonumber(found[index]), window) end
      found = redis.call('ZRANGE', open_key, 0, rank, 'WITHSCORES')
      for index = 2, #found, 2 do
        ends[#ends + 1] = math.min(full, free_in(tonumber(found[index]), timeout_of(found[index - 1]) + window))
      end
      table.sort(ends)
      seconds = math.max(seconds, ends[rank + 1] or full)
    end
  elseif seconds <= 0 then
    opened = opened + redis.call('ZADD', open_key, text(now + timeout_of(member) + full), member)
    redis.call('ZREM', waiting_key, lane .. ':' .. who)
    return {'granted', '0', ''}
  end
  if ahead > 0 then seconds = math.min(seconds, poll) end
  seconds = math.max(seconds, 0.001)
  if lane < 2 then redis.call('ZADD', waiting_key, text(now + seconds + poll), lane .. ':' .. who) end
  return {'wait', text(seconds), ''}
end

local function release(member, sent, served, granted, latency)
  opened = opened - redis.call('ZREM', open_key, member)
  if sent then
    done = done + redis.call('ZADD', done_key, text(now + full), member)
    state.latency = text(state.latency and 0.8 * number('latency') + 0.2 * latency or latency)
  end
  if served and state.rest_since and number('rest_since') <= granted then
    state.rest_since, state.rest_seconds, state.refusals = nil, nil, nil
  end
  return {'ok', '0', ''}
end

local function extend(member, longer)
  if redis.call('ZREM', open_key, member) == 0 then return {'void', '0', ''} end
  redis.call('ZADD', open_key, text(now + timeout_of(longer) + full), longer)
  return {'ok', '0', ''}
end

local function back_off(retry_after, sent_at, shortest, longest, most)
  local refusals, till = 0, now
  if state.rest_since and number('rest_since') <= now then
    refusals, till = number('refusals'), math.max(now, number('rest_since') + number('rest_seconds'))
  end
  if not (refusals > 0 and sent_at and sent_at < number('rest_since')) then
    refusals = refusals + 1
    if not retry_after or retry_after < 1 then
      till = math.max(till, now + math.min(longest, shortest * 2 ^ math.min(refusals - 1, 10)))
    end
  end
  if retry_after then till = math.max(till, now + math.min(retry_after, most)) end
  state.rest_since, state.rest_seconds, state.refusals = text(now), text(till - now), text(refusals)
  return {'ok', text(till - now), ''}
end

local function look(most)
  local blocked = math.max(number('blocked_until'), number('rest_since') + number('rest_seconds'))
  local found = {'ok', text(math.max(0, blocked - now)), state.latency or ''}
  local ends = redis.call('ZRANGEBYSCORE', done_key, '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  for index = 2, #ends, 2 do
    found[#found + 1] = 'done'
    found[#found + 1] = text(tonumber(ends[index]) - full - now)
  end
  ends = redis.call('ZRANGEBYSCORE', open_key, '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  for index = 1, #ends, 2 do
    found[#found + 1] = 'open'
    found[#found + 1] = text(tonumber(ends[index + 1]) - timeout_of(ends[index]) - full - now)
  end
  return found
end

local function given(offset) return ARGV[first + offset] end
local answer
if op == 'take' then answer = take(given(0), tonumber(given(1)), given(2))
elseif op == 'release' then
  answer = release(given(0), given(1) == '1', given(2) == '1', tonumber(given(3)), tonumber(given(4)))
elseif op == 'extend' then answer = extend(given(0), given(1))
elseif op == 'back_off' then
  answer = back_off(tonumber(given(0)), tonumber(given(1)), tonumber(given(2)), tonumber(given(3)), tonumber(given(4)))
else answer = look(tonumber(given(0)))
end
state.open, state.done = opened, done
local fields, gone = {}, {}
for _, name in ipairs(names) do
  if state[name] then
    fields[#fields + 1] = name
    fields[#fields + 1] = state[name]
  else
    gone[#gone + 1] = name
  end
end
redis.call('HSET', state_key, unpack(fields))
if #gone > 0 then redis.call('HDEL', state_key, unpack(gone)) end
return {text(now), state.epoch, state.why or '', text(limit), text(window), unpack(answer)}
"""
