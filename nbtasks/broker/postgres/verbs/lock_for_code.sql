-- Take a lock for code that asks by itself, or give that a place in the line; the same code asks again now and then.
--
-- _title  what is shown of it
-- _wait   it is to have a place in the line
-- Returns the token; NULL where the lock is not free.
CREATE FUNCTION lock_for_code(
  _ns bigint, _lock text, _capacity bigint, _name text, _consumer text, _title text, _wait boolean
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint;
  _taken record;
  _places text[] := '{}';
BEGIN
  PERFORM lock_still(_ns, ARRAY[_lock]);
  _now := now_ms();
  IF EXISTS (SELECT FROM lock_lines WHERE ns = _ns AND name = _name AND lock = _lock AND called IS NULL) THEN
    -- Perhaps somebody has died, or nobody has called it.
    _places := lock_on(_ns, _lock, _now);
    IF EXISTS (SELECT FROM lock_lines WHERE ns = _ns AND name = _name AND lock = _lock AND called IS NULL) THEN
      PERFORM wake_each(_ns, _places);
      RETURN NULL;
    END IF;
  END IF;
  _taken := lock_taken(_ns, ARRAY[_lock], ARRAY[_capacity], _name, _consumer, _title, _now);
  IF _taken.token IS NULL AND _wait THEN
    PERFORM lock_wait(_ns, _lock, _name, _capacity, coalesce(_taken.had, lock_ticket()), '@', NULL);
    IF _taken.others THEN _places := _places || lock_on(_ns, _lock, _now); END IF;
  END IF;
  PERFORM wake_each(_ns, _places);
  RETURN _taken.token;
END $$;

-- Lie down until code that waits in a line is told that it is its turn. Returns whether it is.
--
-- _channel  on which it is woken; NULL: it looks by itself
CREATE FUNCTION lock_turn(_ns bigint, _name text, _channel text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  IF _channel IS NOT NULL THEN
    PERFORM lazily();
    PERFORM doze(_ns, ARRAY['lock ' || _name], _channel);
  END IF;
  RETURN EXISTS (SELECT FROM lock_lines WHERE ns = _ns AND name = _name AND called > 0);
END $$;
