-- Look at periodic tasks: at some, or at so many behind one of them, in the order of their ids.
--
-- _ids  NULL for the latter
-- Returns first one row with the time (ms) alone. Then each, with the batches of its last runs, and of each of these when
-- it was due and a state code: 0 where it goes on, 4 where all calls have succeeded, that of the first other call, 255
-- where it is not known any more.
CREATE FUNCTION periodic_look(_ns bigint, _key_id text, _ids text[], _after text, _most bigint)
RETURNS TABLE (
  now bigint, id text, frame bytea, next bigint, paused bigint, fired bigint, overlapped bigint, missed bigint,
  there boolean, dues bigint[], runs text[], states bigint[]
) LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  now := now_ms();
  RETURN NEXT;
  _ids := coalesce(_ids, ARRAY(
    SELECT t.id FROM periodic_tasks t WHERE t.ns = _ns AND t.key_id = _key_id AND t.id > _after ORDER BY t.id LIMIT _most));
  RETURN QUERY SELECT now, t.id, t.frame, t.due, t.paused, t.fired, t.overlapped, t.missed, is_there(_ns, t.client),
      t.dues, t.runs,
      ARRAY(SELECT state_of_run(_ns, r.batch) FROM unnest(t.runs) WITH ORDINALITY AS r (batch, place) ORDER BY r.place)
    FROM periodic_tasks t WHERE t.ns = _ns AND t.key_id = _key_id AND t.id = ANY (_ids) ORDER BY t.id;
END $$;

CREATE FUNCTION state_of_run(_ns bigint, _batch text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  _ended bigint;
  _others bytea;
BEGIN
  SELECT b.ended INTO _ended FROM batches b
    WHERE b.ns = _ns AND b.batch = _batch AND (b.expires IS NULL OR b.expires > now_ms());
  IF NOT FOUND THEN RETURN 255; END IF;
  IF _ended IS NULL THEN RETURN 0; END IF;
  -- Without those that have succeeded at its beginning, a row's states begin with the first other one.
  SELECT btrim(r.states, '\x04') INTO _others FROM results r
    WHERE r.ns = _ns AND r.batch = _batch AND r.first < 100000 AND btrim(r.states, '\x04') <> '' ORDER BY r.first LIMIT 1;
  RETURN CASE WHEN FOUND THEN get_byte(_others, 0) ELSE 4 END;
END $$;

-- The frame of one.
CREATE FUNCTION periodic_frame(_ns bigint, _key_id text, _id text) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  RETURN (SELECT frame FROM periodic_tasks WHERE ns = _ns AND key_id = _key_id AND id = _id);
END $$;
