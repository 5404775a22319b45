-- Renew a worker's lease, and what it shows of itself.
-- Returns whether there had still been one, the server's time (us), and what its clock is ahead (ms, or '').
CREATE FUNCTION renew(
  _ns bigint, _worker text, _lease bytea, _info text, OUT alive boolean, OUT at bigint, OUT ahead text
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  -- Five times in each lease; what a crash takes away of it is there again with the next one.
  PERFORM lazily();
  SELECT lease IS NOT NULL INTO alive FROM workers WHERE ns = _ns AND worker = _worker FOR NO KEY UPDATE;
  at := now_us();
  IF FOUND THEN
    UPDATE workers SET lease = _lease, seen = at / 1000, buried = false WHERE ns = _ns AND worker = _worker;
    UPDATE workers SET info = _info WHERE ns = _ns AND worker = _worker AND info <> _info;
  ELSE
    INSERT INTO workers (ns, worker, seen, lease, info) VALUES (_ns, _worker, at / 1000, _lease, _info)
      ON CONFLICT (ns, worker) DO UPDATE SET seen = excluded.seen, lease = excluded.lease, info = excluded.info,
        buried = false;
    alive := false;
  END IF;
  ahead := coalesce((SELECT value FROM facts WHERE ns = _ns AND name = 'ahead'), '');
END $$;

-- Look at the leases of all workers on the list, those first that were seen last.
-- Returns the server's time (ms) with worker, lease or none, and ms since the last renewal, -1 where it was buried; one
-- row without a worker where there is none.
CREATE FUNCTION pulses(_ns bigint, _most bigint)
RETURNS TABLE (now bigint, worker text, lease bytea, age bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint := now_ms();
BEGIN
  RETURN QUERY SELECT _now, NULL::text, NULL::bytea, 0::bigint;
  RETURN QUERY SELECT _now, w.worker, w.lease, CASE WHEN w.buried THEN -1 ELSE greatest(0, _now - w.seen) END
    FROM workers w WHERE w.ns = _ns ORDER BY w.seen DESC LIMIT _most;
END $$;

CREATE FUNCTION sheets(_ns bigint, _workers text[]) RETURNS TABLE (worker text, info text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT worker, info FROM workers WHERE ns = _ns AND worker = ANY (_workers)
$$;

-- End the lease of a worker that has not renewed it since it was looked at. Returns whether there is none now.
CREATE FUNCTION lapse(_ns bigint, _worker text, _lease bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  UPDATE workers SET lease = NULL WHERE ns = _ns AND worker = _worker AND lease = _lease;
  RETURN FOUND OR NOT EXISTS (SELECT FROM workers WHERE ns = _ns AND worker = _worker AND lease IS NOT NULL);
END $$;

-- Put a worker on the list that is on none.
CREATE FUNCTION enlist(_ns bigint, _worker text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  INSERT INTO workers (ns, worker, seen) VALUES (_ns, _worker, 1) ON CONFLICT DO NOTHING
$$;

-- End leases, and take their workers off the list.
CREATE FUNCTION strike_off(_ns bigint, _workers text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  DELETE FROM workers WHERE ns = _ns AND worker = ANY (_workers)
$$;

-- A worker is known to be dead.
CREATE FUNCTION bury(_ns bigint, _worker text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  INSERT INTO workers (ns, worker, seen, buried) VALUES (_ns, _worker, 0, true)
    ON CONFLICT (ns, worker) DO UPDATE SET lease = NULL, buried = true, seen = 0
$$;
