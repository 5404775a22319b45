-- Which locks somebody waits for. They are found one after another: a line may be long.
CREATE FUNCTION lock_lists(_ns bigint, _most bigint) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT lock FROM lines_of(_ns) WHERE lock IS NOT NULL LIMIT _most
$$;

-- See that locks get on that somebody waits for: whose holder has no lease any more, or who was called and will not come.
CREATE FUNCTION lock_turns(_ns bigint, _locks text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint;
  _lock text;
  _places text[] := '{}';
BEGIN
  PERFORM lock_still(_ns, _locks);
  _now := now_ms();
  FOREACH _lock IN ARRAY _locks LOOP
    DELETE FROM lock_holds h WHERE h.ns = _ns AND h.lock = _lock AND NOT EXISTS (
      SELECT FROM workers w WHERE w.ns = _ns AND w.worker = h.worker AND w.lease IS NOT NULL);
    PERFORM lock_left(_ns, l) FROM lock_lines l
      WHERE l.ns = _ns AND l.lock = _lock AND l.called > 0 AND has_left(_ns, l.address, l.name);
    PERFORM lock_thin(_ns, _lock);
    _places := _places || lock_on(_ns, _lock, _now);
  END LOOP;
  PERFORM wake_each(_ns, _places);
END $$;

-- Take those out of the beginning of a line that will not come: else they would count as waiting. A line is long where many
-- wait: who is further behind is looked at later.
CREATE FUNCTION lock_thin(_ns bigint, _lock text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _one lock_lines;
  _gone bigint;
BEGIN
  FOR _round IN 1 .. 20 LOOP
    _gone := 0;
    FOR _one IN
      SELECT * FROM lock_lines l WHERE l.ns = _ns AND l.lock = _lock AND l.called IS NULL ORDER BY l.ticket LIMIT 100
    LOOP
      CONTINUE WHEN NOT has_left(_ns, _one.address, _one.name);
      PERFORM lock_left(_ns, _one);
      _gone := _gone + 1;
    END LOOP;
    EXIT WHEN _gone = 0;
  END LOOP;
END $$;
