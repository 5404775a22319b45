-- Give back what a dead consumer has held, or all consumers of a worker or a client.
--
-- _consumer  NULL for all of them
-- _guard     only while there is no lease for it
-- Returns how many were given back: fewer than asked for at the end.
CREATE FUNCTION lock_of_dead(_ns bigint, _worker text, _consumer text, _guard boolean, _most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _locks text[];
  _now bigint;
  _one record;
  _found bigint := 0;
  _places text[] := '{}';
BEGIN
  SELECT array_agg(DISTINCT h.lock) INTO _locks FROM (
    SELECT lock FROM lock_holds WHERE ns = _ns AND worker = _worker AND (_consumer IS NULL OR consumer = _consumer)
      ORDER BY lock LIMIT _most
  ) h;
  IF _locks IS NULL THEN RETURN 0; END IF;
  IF _guard THEN
    -- Locked, so that it cannot come back in the middle of this.
    PERFORM 1 FROM workers WHERE ns = _ns AND worker = _worker FOR SHARE;
    IF has_lease(_ns, _worker) THEN RETURN 0; END IF;
  END IF;
  PERFORM lock_still(_ns, _locks);
  _now := now_ms();
  FOR _one IN
    SELECT h.lock, h.name, h.consumer FROM lock_holds h WHERE h.ns = _ns AND h.worker = _worker
      AND (_consumer IS NULL OR h.consumer = _consumer) AND h.lock = ANY (_locks) ORDER BY h.lock, h.name
  LOOP
    _places := _places || lock_through(_ns, _one.lock, _one.name, _one.consumer, _now);
    _found := _found + 1;
  END LOOP;
  PERFORM wake_each(_ns, _places);
  -- There may be more, unless this was all.
  RETURN _found;
END $$;

-- Which of some workers and clients hold any lock.
CREATE FUNCTION holding(_ns bigint, _workers text[]) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT DISTINCT worker FROM lock_holds WHERE ns = _ns AND worker = ANY (_workers)
$$;
