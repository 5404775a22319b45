-- Take entries without waiting, of one priority only: what comes meanwhile goes before those of a lower one.
--
-- _queues  from which it takes
-- Returns the entries, with those that are over: an entry whose batch is gone, or whose calls are all final, has been
-- worked off before. It ends here.
CREATE FUNCTION take(_ns bigint, _queues bigint[], _consumer text, _most bigint)
RETURNS SETOF entry_out LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  -- Where the server dies and forgets this, the entry lies in its queue again: as if its worker had died.
  PERFORM lazily();
  RETURN QUERY SELECT * FROM taken(_ns, _queues, _consumer, _most);
END $$;

-- Wait for entries: lie down, so that whoever queues one wakes this consumer, unless there is one already.
--
-- _places   the queues' addresses, at which it is woken
-- _channel  on which it is
CREATE FUNCTION take_or_doze(
  _ns bigint, _queues bigint[], _consumer text, _most bigint, _places text[], _channel text
) RETURNS SETOF entry_out LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  PERFORM lazily();
  PERFORM doze(_ns, _places, _channel);
  RETURN QUERY SELECT * FROM taken(_ns, _queues, _consumer, _most);
  IF FOUND THEN DELETE FROM sleepers WHERE channel = _channel; END IF;
END $$;

CREATE FUNCTION taken(_ns bigint, _queues bigint[], _consumer text, _most bigint)
RETURNS SETOF entry_out LANGUAGE plpgsql AS $$
DECLARE
  _rank smallint;
  _queue bigint;
  _entry record;
  _out entry_out;
  _standing record;
  _left bigint := _most;
  _looked bigint := 0;
  _dropped boolean;
BEGIN
  SELECT e.rank INTO _rank FROM unnest(_queues) AS q CROSS JOIN LATERAL (
    SELECT rank FROM entries WHERE queue = q AND holder IS NULL AND due IS NULL ORDER BY rank, id LIMIT 1
  ) e ORDER BY e.rank LIMIT 1;
  IF _rank IS NULL THEN RETURN; END IF;
  -- Others may have taken what was seen there.
  FOR _priority IN _rank / 2 .. 2 LOOP
    FOREACH _queue IN ARRAY _queues LOOP
      LOOP
        _dropped := false;
        FOR _entry IN
          WITH picked AS (
            SELECT id FROM entries WHERE queue = _queue AND holder IS NULL AND due IS NULL
              AND rank >= _priority * 2 AND rank <= _priority * 2 + 1
              ORDER BY rank, id LIMIT _left FOR UPDATE SKIP LOCKED
          ), mine AS (
            UPDATE entries e SET holder = _consumer FROM picked WHERE e.id = picked.id RETURNING e.*
          )
          SELECT * FROM mine ORDER BY rank, id
        LOOP
          _looked := _looked + 1;
          SELECT * INTO _standing FROM standing_of(_ns, _entry.batch, _entry.first, _entry.count);
          _out := entry_of(_entry.queue, _entry.rank, _entry.id, _entry.batch, _entry.first, _entry.count,
            _entry.attempt, _entry.flag, _entry.follows, _entry.frame);
          _out.suspect := _out.suspect OR _standing.suspect;
          _out.over := _standing.over;
          _out.told := _standing.told;
          IF _out.over THEN
            DELETE FROM entries WHERE id = _entry.id;
            _dropped := true;
          ELSE
            _left := _left - 1;
          END IF;
          RETURN NEXT _out;
        END LOOP;
        EXIT WHEN NOT _dropped OR _left <= 0 OR _looked >= 1000;
      END LOOP;
      IF _left <= 0 OR _looked >= 1000 THEN RETURN; END IF;
    END LOOP;
    IF _left < _most THEN RETURN; END IF;
  END LOOP;
END $$;
