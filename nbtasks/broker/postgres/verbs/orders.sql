-- What supervisors are told: what a snapshot does not have, however late it was committed. Much is read in several goes, all of
-- it up to a second snapshot, in its order.
--
-- _since    since when (ms)
-- _seen     the snapshot
-- _upto     the second one; NULL where what there is up to the first one was all read
-- _xid, _id what was read last since that one
-- _channel  on which one is woken when there is something; NULL: nobody waits
-- Returns the second snapshot in each row; one row with nothing else where there is nothing. No snapshot: the one that was
-- named is of another server, or of later than what this one was put back to.
CREATE FUNCTION read_orders(
  _ns bigint, _since bigint, _seen text, _upto text, _xid text, _id bigint, _most bigint, _channel text
) RETURNS TABLE (upto text, xid text, id bigint, kind text, data bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _from pg_snapshot := _seen;
  _to pg_snapshot;
  _first xid8 := greatest(pg_snapshot_xmin(_from), _xid::xid8);
  _after xid8 := _xid;
BEGIN
  PERFORM lazily();
  IF _channel IS NOT NULL THEN PERFORM doze(_ns, ARRAY['ctl'], _channel); END IF;
  IF is_ahead(coalesce(_upto, _seen)) THEN
    RETURN NEXT;
    RETURN;
  END IF;
  _to := coalesce(_upto::pg_snapshot, pg_current_snapshot());
  RETURN QUERY SELECT _to::text, c.xid::text, c.id, c.kind, c.data
    FROM (SELECT) AS nothing LEFT JOIN LATERAL (
      SELECT * FROM control o
        WHERE o.ns = _ns AND o.xid >= _first AND o.xid < pg_snapshot_xmax(_to) AND (o.xid, o.id) > (_after, _id)
          AND o.told >= _since AND NOT pg_visible_in_snapshot(o.xid, _from) AND pg_visible_in_snapshot(o.xid, _to)
        ORDER BY o.xid, o.id LIMIT _most
    ) c ON true;
END $$;

-- Give orders to supervisors, and keep one of them for workers that are still to come.
--
-- _task  whose limits are set; NULL for none
-- _kept  the order that is kept of it; NULL for none
CREATE FUNCTION give_orders(_ns bigint, _task text, _kept bytea, _orders bytea[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _order bytea;
BEGIN
  IF _task IS NOT NULL AND _kept IS NULL THEN
    DELETE FROM task_limits WHERE ns = _ns AND task = _task;
  ELSIF _task IS NOT NULL THEN
    INSERT INTO task_limits (ns, task, frame) VALUES (_ns, _task, _kept)
      ON CONFLICT (ns, task) DO UPDATE SET frame = excluded.frame;
  END IF;
  FOREACH _order IN ARRAY _orders LOOP PERFORM tell(_ns, 'c', _order); END LOOP;
END $$;

CREATE FUNCTION drop_orders(_ns bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  DELETE FROM control WHERE ns = _ns
$$;

CREATE FUNCTION limits_of_tasks(_ns bigint, _most bigint) RETURNS SETOF bytea
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT frame FROM task_limits WHERE ns = _ns ORDER BY task LIMIT _most
$$;

-- Answer an order. What nobody reads goes after a minute.
CREATE FUNCTION answer(_ns bigint, _reply text, _worker text, _frame bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  DELETE FROM answers WHERE ns = _ns AND told < now_ms() - 60000;
  INSERT INTO answers (ns, reply, worker, told, frame) VALUES (_ns, _reply, _worker, now_ms(), _frame)
    ON CONFLICT (ns, reply, worker) DO UPDATE SET told = excluded.told, frame = excluded.frame;
END $$;

CREATE FUNCTION answers_to(_ns bigint, _reply text, _workers text[])
RETURNS TABLE (worker text, frame bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT worker, frame FROM answers WHERE ns = _ns AND reply = _reply AND worker = ANY (_workers)
$$;

CREATE FUNCTION drop_answers(_ns bigint, _reply text, _workers text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  DELETE FROM answers WHERE ns = _ns AND reply = _reply AND worker = ANY (_workers)
$$;
