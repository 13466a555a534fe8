"""The board on Redis: a hash of texts, and a sorted set of when each was written, on the server's clock."""

from collections.abc import Callable

from astica_sync.core.fleet.announcement import KEPT_SECONDS, MOST_CHARACTERS, MOST_KEPT
from astica_sync.remote.fleet.fleet_board import MOST_NAMED, BoardRecord
from astica_sync.remote.shared_budget.budget_server import ANSWER_SECONDS, ServerUnusable
from astica_sync.remote.shared_budget.redis_server import RedisScript, RedisServer
from astica_sync.secret import Secret

_NOW = """
local now
if ARGV[1] ~= '' then
  now = tonumber(ARGV[1])
else
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local kept, most = tonumber(ARGV[2]), tonumber(ARGV[3])
"""

_WRITE = RedisScript(
    _NOW
    + """
local texts, seen, who, text, gone = KEYS[1], KEYS[2], ARGV[4], ARGV[5], ARGV[6]
local function remove(names)
  for _, one in ipairs(names) do
    redis.call('ZREM', seen, one)
    redis.call('HDEL', texts, one)
  end
end
-- Nothing of this program leaves them so.
if redis.call('HLEN', texts) ~= redis.call('ZCARD', seen) then redis.call('DEL', texts, seen) end
if gone ~= '' then remove({gone}) end
remove(redis.call('ZRANGEBYSCORE', seen, '-inf', string.format('(%.6f', now - kept), 'LIMIT', 0, 100))
remove(redis.call('ZRANGEBYSCORE', seen, string.format('(%.6f', now), '+inf', 'LIMIT', 0, 100))
redis.call('HSET', texts, who, text)
redis.call('ZADD', seen, string.format('%.6f', now), who)
local over = redis.call('ZCARD', seen) - most
if over > 0 then remove(redis.call('ZRANGE', seen, 0, math.min(over, 100) - 1)) end
-- A user may lack the right to do this.
redis.pcall('EXPIRE', texts, math.ceil(kept))
redis.pcall('EXPIRE', seen, math.ceil(kept))
return 1
"""
)

_READ = RedisScript(
    _NOW
    + """
local texts, seen, longest, found = KEYS[1], KEYS[2], tonumber(ARGV[4]), {}
local names = redis.call('ZREVRANGEBYSCORE', seen, string.format('%.6f', now), string.format('%.6f', now - kept),
  'WITHSCORES', 'LIMIT', 0, most)
for index = 1, #names, 2 do
  local size = redis.call('HSTRLEN', texts, names[index])
  if size > 0 and size <= longest then
    local text = redis.call('HGET', texts, names[index])
    if not string.find(text, '[^\\32-\\126]') then
      found[#found + 1] = text
      found[#found + 1] = string.format('%.3f', now - tonumber(names[index + 1]))
    end
  end
end
return found
"""
)


class RedisBoard:
    """A ``FleetBoard``. ``server_time`` takes the place of the server's clock in tests."""

    def __init__(
        self, address: Secret, *, answer_s: float = ANSWER_SECONDS, server_time: Callable[[], float] | None = None
    ) -> None:
        self._server = RedisServer(address, answer_s=answer_s)
        self._server_time = server_time

    def write(self, name: str, who: str, text: str, gone: str = "") -> None:
        self._server.run(_WRITE, 2, [*self._first(name), who[:MOST_NAMED], text[:MOST_CHARACTERS], gone])

    def read(self, name: str) -> list[BoardRecord]:
        found = self._server.run(_READ, 2, [*self._first(name), MOST_CHARACTERS])
        if not isinstance(found, list):
            raise ServerUnusable("its answer is not the expected one", "check the address")
        return [BoardRecord(text, seen) for text, seen in zip(found[::2], found[1::2], strict=False)]

    def _first(self, name: str) -> list[object]:
        now = "" if self._server_time is None else f"{self._server_time():.6f}"
        keys = [f"astica-sync:{{{name}}}:{part}" for part in ("fleet", "fleet-seen")]
        return [*keys, now, KEPT_SECONDS, MOST_KEPT]

    def close(self) -> None:
        self._server.close()
