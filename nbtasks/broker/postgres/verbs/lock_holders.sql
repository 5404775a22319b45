-- Look who holds a lock.
--
-- _name  of one who waits for it
-- Returns in each row how many wait, how many of them before that one (NULL where it does not wait), how many hold it; and
-- one who does, name, worker, what is shown of it, ms for which it has held it, how many may. One row without where nobody
-- does.
CREATE FUNCTION lock_holders(_ns bigint, _lock text, _name text, _most bigint)
RETURNS TABLE (
  waiting bigint, before bigint, held bigint, name text, worker text, title text, since bigint, capacity bigint
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint := now_ms();
  _ticket bigint := (SELECT l.ticket FROM lock_lines l
    WHERE l.ns = _ns AND l.name = _name AND l.lock = _lock AND l.called IS NULL);
BEGIN
  SELECT count(*), CASE WHEN _ticket IS NOT NULL THEN count(*) FILTER (WHERE l.ticket < _ticket) END
    INTO waiting, before FROM lock_lines l WHERE l.ns = _ns AND l.lock = _lock AND l.called IS NULL;
  held := (SELECT count(*) FROM lock_holds h WHERE h.ns = _ns AND h.lock = _lock);
  RETURN QUERY SELECT lock_holders.waiting, lock_holders.before, lock_holders.held, o.name, o.worker, o.title,
      greatest(0, _now - o.since), o.capacity
    FROM (SELECT) AS nobody LEFT JOIN (
      SELECT * FROM lock_holds h WHERE h.ns = _ns AND h.lock = _lock ORDER BY h.token LIMIT _most
    ) o ON true;
END $$;

-- Locks that somebody holds or waits for.
CREATE FUNCTION lock_ids(_ns bigint, _most bigint) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT lock FROM (
    SELECT h.lock FROM lock_holds h WHERE h.ns = _ns
    UNION SELECT l.lock FROM lines_of(_ns) l WHERE l.lock IS NOT NULL
  ) o ORDER BY lock LIMIT _most
$$;
