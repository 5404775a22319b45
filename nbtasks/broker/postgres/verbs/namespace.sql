-- What was brought here from another cluster, or has outlived transactions of this one, as a dump does that is put back:
-- by its transaction it is of the future. So it would be new to everybody when that comes, and until then there for nobody.
-- It counts as older than all that is noted from now on.
CREATE FUNCTION settle_past(_ns bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  _next xid8 := pg_snapshot_xmax(pg_current_snapshot());
BEGIN
  IF EXISTS (SELECT FROM happened WHERE ns = _ns AND xid >= _next)
    OR EXISTS (SELECT FROM control WHERE ns = _ns AND xid >= _next) THEN
    UPDATE happened SET xid = '3' WHERE ns = _ns AND xid >= _next;
    UPDATE control SET xid = '3' WHERE ns = _ns AND xid >= _next;
  END IF;
END $$;

-- Whether a reader's snapshot is of transactions that this server has not had: it is another one, or was put back.
CREATE FUNCTION is_ahead(_seen text) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT pg_snapshot_xmax(_seen::pg_snapshot) > pg_snapshot_xmax(pg_current_snapshot())
$$;

-- The number of a namespace, which is made where it is new.
CREATE FUNCTION namespace(_name text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _ns bigint;
BEGIN
  SELECT ns INTO _ns FROM namespaces WHERE name = _name;
  IF _ns IS NULL THEN
    INSERT INTO namespaces (name) VALUES (_name) ON CONFLICT (name) DO UPDATE SET name = excluded.name
      RETURNING ns INTO _ns;
  ELSE
    PERFORM settle_past(_ns);
  END IF;
  RETURN _ns;
END $$;
