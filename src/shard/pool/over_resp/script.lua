-- What memcache asks of a Redis string and Redis has no command for; each call is atomic there.
-- KEYS[1] is the key, ARGV[1] says what is done, docs/protocols.md tells why so.
-- A stored string is the value, or a header of 12 bytes (8 that mark it, 4 of flags) and the value; or a promise of
-- 16 bytes (8 that mark it, 8 of its own): a client was told to make the value, which is empty until then.

local key, call = KEYS[1], ARGV[1]
local MARK, HEADER_BYTES = '\000mcflag\255', 12
local PROMISE_MARK, PROMISE_BYTES = '\000mcflag\254', 16

local function is_promise(stored)
  return #stored == PROMISE_BYTES and string.sub(stored, 1, #PROMISE_MARK) == PROMISE_MARK
end

local function split(stored)
  if is_promise(stored) then
    return '', ''
  elseif #stored >= HEADER_BYTES and string.sub(stored, 1, #MARK) == MARK then
    return string.sub(stored, 1, HEADER_BYTES), string.sub(stored, HEADER_BYTES + 1)
  end
  return '', stored
end

local function put(stored)
  redis.call('SET', key, stored, 'KEEPTTL')
end

-- The string that keeps a value; one that begins as a header or a promise does needs a header.
local function join(header, value)
  local start = string.sub(value, 1, #MARK)
  if header == '' and (start == MARK or start == PROMISE_MARK) then
    header = MARK .. string.rep('\000', HEADER_BYTES - #MARK)
  end
  return header .. value
end

-- Whether the string is another than the one whose digest begins so ('': any will do).
local function differs(stored, digest)
  return digest ~= '' and string.sub(redis.sha1hex(stored), 1, #digest) ~= digest
end

-- Ends the key so many milliseconds from now: never ('ever'), at once ('0'), or when it was to end anyway ('').
local function live(ms)
  if ms == 'ever' then
    redis.call('PERSIST', key)
  elseif ms == '0' then
    redis.call('DEL', key)
  elseif ms ~= '' then
    redis.call('PEXPIRE', key, ms)
  end
end

local function create(stored, ms)
  redis.call('SET', key, stored)
  live(ms)
end

-- Lua counts in doubles: numbers of 64 bits are two limbs below 10^10.
local LIMB_DIGITS, LIMB = 10, 10000000000
-- memcached takes longer text, too; this is what ringfort's own store looks at.
local TEXT_BYTES_MAX = 1024
-- 2^64.
local WRAP_HIGH, WRAP_LOW = 1844674407, 3709551616

local function limbs(digits)
  return tonumber(string.sub(digits, 1, -LIMB_DIGITS - 1)) or 0, tonumber(string.sub(digits, -LIMB_DIGITS))
end

local function is_below(high, low, other_high, other_low)
  return high < other_high or (high == other_high and low < other_low)
end

-- What C's strtoull takes for a number of 64 bits: blanks, a sign and zeros before it, a blank or a NUL behind.
local function number_in(text)
  local sign, digits, rest = string.match(text, '^%s*([-+]?)0*(%d+)(.*)$')
  if not digits or #digits > 2 * LIMB_DIGITS or #text > TEXT_BYTES_MAX then
    return nil
  elseif rest ~= '' and not string.find(rest, '^[%s%z]') then
    return nil
  end
  local high, low = limbs(digits)
  if not is_below(high, low, WRAP_HIGH, WRAP_LOW) or (sign == '-' and high + low > 0) then
    return nil
  end
  return high, low
end

-- incr (wraps at 2^64) and decr (stops at 0) by so much; nil without a key, -1 without a number.
local function count(is_down, by)
  local stored = redis.call('GET', key)
  if not stored then
    return false
  end
  local header, text = split(stored)
  local high, low = number_in(text)
  if not high then
    return -1
  end
  local by_high, by_low = limbs(by)
  if is_down and is_below(high, low, by_high, by_low) then
    high, low = 0, 0
  elseif is_down then
    high, low = high - by_high, low - by_low
  else
    high, low = high + by_high, low + by_low
    if low >= LIMB then
      high, low = high + 1, low - LIMB
    end
    if not is_below(high, low, WRAP_HIGH, WRAP_LOW) then
      high, low = high - WRAP_HIGH, low - WRAP_LOW
    end
  end
  if low < 0 then
    high, low = high - 1, low + LIMB
  end
  local number = high > 0 and string.format('%.0f%010.0f', high, low) or string.format('%.0f', low)
  put(header .. number)
  return number
end

local calls = {}

function calls.incr()
  return count(false, ARGV[2])
end

function calls.decr()
  return count(true, ARGV[2])
end

-- ARGV[2] behind or before the value: 1, or 0 without a key or if more than ARGV[3] bytes would come of it.
function calls.append()
  local length = redis.call('STRLEN', key)
  if length + #ARGV[2] > tonumber(ARGV[3]) or redis.call('EXISTS', key) == 0 then
    return 0
  elseif length < #MARK or length == PROMISE_BYTES then
    local header, value = split(redis.call('GET', key))
    put(join(header, value .. ARGV[2]))
  else
    redis.call('APPEND', key, ARGV[2])
  end
  return 1
end

function calls.prepend()
  local stored = redis.call('GET', key)
  if not stored then
    return 0
  elseif #stored + #ARGV[2] > tonumber(ARGV[3]) then
    return 0
  end
  local header, value = split(stored)
  put(join(header, ARGV[2] .. value))
  return 1
end

-- Stores ARGV[3] for ARGV[4] milliseconds (0: it is over, none: for good) if what is there has the digest
-- ARGV[2]: 1, 0 if it has another, nil without a key.
function calls.cas()
  local stored = redis.call('GET', key)
  if not stored then
    return false
  elseif differs(stored, ARGV[2]) then
    return 0
  elseif not ARGV[4] then
    redis.call('SET', key, ARGV[3])
  elseif ARGV[4] == '0' then
    redis.call('DEL', key)
  else
    redis.call('SET', key, ARGV[3], 'PX', ARGV[4])
  end
  return 1
end

-- The same for a delete.
function calls.remove()
  local stored = redis.call('GET', key)
  if not stored then
    return false
  elseif differs(stored, ARGV[2]) then
    return 0
  end
  redis.call('DEL', key)
  return 1
end

-- The string and how many milliseconds it has to live (-1: for good), then ARGV[2] from now; nil without a key.
-- There ARGV[3] is put, if it is given, for ARGV[4] milliseconds, and the last is 1.
function calls.look()
  local stored = redis.call('GET', key)
  if not stored then
    if not ARGV[3] then
      return false
    end
    create(ARGV[3], ARGV[4])
    return {ARGV[3], -1, 1}
  end
  local ms = redis.call('PTTL', key)
  live(ARGV[2])
  return {stored, ms}
end

-- append and prepend (ARGV[2]) of ARGV[3] within ARGV[4] bytes, to the string with the digest ARGV[5]: the digest
-- and how long the value is, 0 if another string is there, -1 if none is or it gets too large. Where there is none,
-- ARGV[6] is put, if it is given, for ARGV[7] milliseconds.
function calls.join()
  local stored = redis.call('GET', key)
  if stored and differs(stored, ARGV[5]) then
    return 0
  elseif stored and #stored + #ARGV[3] > tonumber(ARGV[4]) then
    return -1
  elseif stored then
    local header, value = split(stored)
    stored = join(header, ARGV[2] == 'append' and value .. ARGV[3] or ARGV[3] .. value)
    put(stored)
  elseif ARGV[6] then
    stored = ARGV[6]
    create(stored, ARGV[7])
  else
    return -1
  end
  local _, value = split(stored)
  return {redis.sha1hex(stored), #value}
end

-- incr and decr (ARGV[2]) by ARGV[3] of the string with the digest ARGV[4], which then lives for ARGV[5] milliseconds:
-- the number, what it had to live before, the digest, 0; nil without a key, 0 if another string is there, -1 without
-- a number. Where there is none, ARGV[6] is put, if it is given, for ARGV[7] milliseconds, and the last is 1.
function calls.tally()
  local stored = redis.call('GET', key)
  if not stored then
    if not ARGV[6] then
      return false
    end
    create(ARGV[6], ARGV[7])
    return {ARGV[6], -1, redis.sha1hex(ARGV[6]), 1}
  end
  local _, text = split(stored)
  if text == '' then
    return -1
  elseif differs(stored, ARGV[4]) then
    return 0
  end
  local ms = redis.call('PTTL', key)
  local number = count(ARGV[2] == 'decr', ARGV[3])
  if number == -1 then
    return -1
  end
  local digest = redis.sha1hex(redis.call('GET', key))
  live(ARGV[5])
  return {number, ms, digest, 0}
end

-- touch for good: whether there is a key.
function calls.persist()
  redis.call('PERSIST', key)
  return redis.call('EXISTS', key)
end

-- Redis' command ARGV[3] on the value behind a header. ARGV[2] is `number` where the reply is the value
-- itself: as text, for a number in Lua is good for 53 bits only.
function calls.within()
  -- A byte more than a promise has, which shows that it is none.
  local first = redis.pcall('GETRANGE', key, 0, PROMISE_BYTES)
  local is_string = type(first) == 'string'
  local header = is_string and split(first) or ''
  local has_promise = is_string and is_promise(first)
  if has_promise then
    put('')
  elseif header ~= '' then
    put(string.sub(redis.call('GET', key), HEADER_BYTES + 1))
  end
  local reply = redis.pcall(ARGV[3], key, unpack(ARGV, 4))
  if ARGV[2] == 'number' and type(reply) == 'number' then
    reply = redis.call('GET', key)
  end
  if header ~= '' then
    put(header .. redis.call('GET', key))
  elseif has_promise and redis.call('GET', key) == '' then
    put(first)
  end
  return reply
end

return calls[call]()
