-- Take permits to start calls of a task with a rate limit, in the server's time.
--
-- _every    from one start to the next (us); _most permits; _in_hand calls in hand; _address of the queue
-- Returns permits, time until the first start (us; negative: in the past), ms until the other calls in hand ask again.
CREATE FUNCTION permit(
  _ns bigint, _limit text, _every float8, _most bigint, _in_hand bigint, _address text,
  OUT permits bigint, OUT first bigint, OUT again bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  -- Starts that were missed for so long are made up for: a call comes back a moment later than it could start.
  _credit float8 := 50000;
  -- Who gets a permit keeps its slot until the start. For a few starts in quick succession that is less work than to
  -- come back for each of them.
  _soon float8 := 5000;
  _horizon float8 := CASE WHEN _every <= 20000 THEN 100000 ELSE 5000 END;
  -- Calls that wait come back in a line: each when it is its turn, as long as that is within two seconds of the next
  -- start. From there on they come 50 a second, so that the place of some that were revoked is not waited for.
  _orderly float8 := 2000000;
  _apart float8 := 20000;
  _now float8;
  _next float8;
  _line float8;
  _first float8;
  _due float8;
  _left bigint;
  _longest float8;
  _earliest float8;
  _turn float8;
BEGIN
  PERFORM lazily();
  INSERT INTO rates (ns, name, next, line) VALUES (_ns, _limit, 0, 0) ON CONFLICT DO NOTHING;
  SELECT r.next, r.line INTO _next, _line FROM rates r WHERE r.ns = _ns AND r.name = _limit FOR NO KEY UPDATE;
  _now := now_us();
  -- No start is further away than this, unless the server's clock has gone back.
  _next := greatest(_now - _credit, least(_next, _now + _horizon + _every));
  _first := _next;
  permits := 0;
  IF _next <= _now + _soon THEN
    permits := least(_most, floor((_now + _horizon - _next) / _every)::bigint + 1);
    _next := _next + permits * _every;
  END IF;
  _left := _in_hand - permits;
  _due := greatest(_next, _now);
  IF _left > 0 THEN
    _longest := greatest(_orderly, _apart * (SELECT count(*) FROM entries e JOIN queues q ON q.queue = e.queue
      WHERE q.ns = _ns AND q.address = _address AND e.due IS NOT NULL));
    _earliest := _due;
    _due := least(greatest(_line, _earliest), _earliest + _longest);
    _turn := greatest(_every, least(least(_most, _left) * _every, _horizon));
    _line := _due + CASE WHEN _due + _turn <= _earliest + _orderly THEN _turn ELSE least(_turn, _apart) END;
  END IF;
  UPDATE rates r SET next = _next::bigint, line = _line::bigint WHERE r.ns = _ns AND r.name = _limit;
  first := ceil(_first - _now)::bigint;
  again := ceil((_due - _now) / 1000)::bigint;
END $$;

-- Look whether calls of a batch wait for a rate limit, or for a lock.
-- Returns the limit, or "@" and a lock, ms until the next start, and the index of the call that was found; or nothing.
CREATE FUNCTION limited(_ns bigint, _address text, _batch text)
RETURNS TABLE (waits_for text, next bigint, first bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT e.waits_for, greatest(0, (coalesce(r.next, 0) - now_us() + 999) / 1000), e.first
    FROM entries e JOIN queues q ON q.queue = e.queue LEFT JOIN rates r ON r.ns = _ns AND r.name = e.waits_for
    WHERE e.batch = _batch AND e.due IS NOT NULL AND e.waits_for NOT IN ('', '?') AND q.ns = _ns
      AND q.address = _address
    ORDER BY e.due LIMIT 1
$$;
