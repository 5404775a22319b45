-- Where to begin to read what has happened: a snapshot, which says what was noted before, and how many entries those were,
-- with all that were dropped; and the time (ms).
--
-- _since  from what was noted then on (ms); 0: from the first entry on, NULL: from now on
CREATE FUNCTION begin_happened(_ns bigint, _since bigint, OUT seen text, OUT passed bigint, OUT now bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _seen pg_snapshot := CASE WHEN _since IS NULL THEN pg_current_snapshot() ELSE '1:1:' END;
BEGIN
  seen := _seen::text;
  now := now_ms();
  passed := coalesce((SELECT dropped FROM happened_before WHERE ns = _ns), 0);
  IF _since IS NULL OR _since > 0 THEN
    passed := passed + (SELECT count(*) FROM happened
      WHERE ns = _ns AND (at < _since OR (_since IS NULL AND pg_visible_in_snapshot(xid, _seen))));
  END IF;
END $$;

-- What has happened that one who reads on has not seen yet: what a snapshot does not have. Many entries are read in several
-- goes, all of them up to a second snapshot, in their order.
--
-- _since    nothing from before then (ms)
-- _seen     the snapshot
-- _upto     the second one; NULL where those up to the first one were all read
-- _xid, _id the last entry that was read since that one
-- _channel  on which the reader is woken, where there is nothing now; NULL: it does not wait
-- Returns the second snapshot, and how many entries were dropped so far, in each row; one row without an entry where there is
-- none. No snapshot: the one that was named is of another server, or of later than what this one was put back to.
CREATE FUNCTION read_happened(
  _ns bigint, _since bigint, _seen text, _upto text, _xid text, _id bigint, _most bigint, _channel text
) RETURNS TABLE (upto text, dropped bigint, xid text, id bigint, at bigint, name text, wins text, frame bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _from pg_snapshot := _seen;
  _to pg_snapshot;
  _first xid8 := greatest(pg_snapshot_xmin(_from), _xid::xid8);
  _after xid8 := _xid;
BEGIN
  IF _channel IS NOT NULL THEN
    PERFORM lazily();
    PERFORM doze(_ns, ARRAY['happened'], _channel);
  END IF;
  IF is_ahead(coalesce(_upto, _seen)) THEN
    dropped := 0;
    RETURN NEXT;
    RETURN;
  END IF;
  _to := coalesce(_upto::pg_snapshot, pg_current_snapshot());
  RETURN QUERY SELECT _to::text, coalesce(b.dropped, 0), h.xid::text, h.id, h.at, h.name, h.wins, h.frame
    FROM (SELECT) AS nothing LEFT JOIN happened_before b ON b.ns = _ns LEFT JOIN LATERAL (
      SELECT * FROM happened o
        WHERE o.ns = _ns AND o.xid >= _first AND o.xid < pg_snapshot_xmax(_to) AND (o.xid, o.id) > (_after, _id)
          AND o.at >= _since AND NOT pg_visible_in_snapshot(o.xid, _from) AND pg_visible_in_snapshot(o.xid, _to)
        ORDER BY o.xid, o.id LIMIT _most
    ) h ON true;
END $$;
