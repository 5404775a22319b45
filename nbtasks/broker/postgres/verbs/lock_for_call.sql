-- Take the locks of a call that is about to start, or have it wait for its turn: then it lies in nobody's hands.
--
-- _id      entry that it came with, in which it is alone
-- _lane    that it comes back to
-- _title   what is shown of it
-- _locks, _capacities  each lock, and how many may hold it
-- Returns the token, and whether it waits; neither where the consumer does not hold the entry any more.
CREATE FUNCTION lock_for_call(
  _ns bigint, _consumer text, _id bigint, _lane text, _index bigint, _title text, _locks text[], _capacities bigint[],
  OUT token bigint, OUT waits boolean
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _entry record;
  _taken record;
  _name text;
  _now bigint;
  _ticket bigint;
  _lock text;
  _on text[];
  _places text[] := '{}';
BEGIN
  waits := false;
  SELECT e.batch, q.address INTO _entry FROM entries e JOIN queues q ON q.queue = e.queue
    WHERE e.id = _id AND e.holder = _consumer FOR UPDATE OF e;
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM lock_still(_ns, _locks);
  _name := _entry.batch || ':' || _index;
  _now := now_ms();
  _taken := lock_taken(_ns, _locks, _capacities, _name, _consumer, _title, _now);
  token := _taken.token;
  IF token IS NOT NULL THEN RETURN; END IF;

  waits := true;
  _ticket := coalesce(_taken.had, lock_ticket());
  _lock := _locks[_taken.place];
  -- As another entry: whoever still takes the old one to be in its hands cannot end this one.
  UPDATE entries e SET id = DEFAULT, holder = NULL, begun_by = NULL, rank = rank_of(_lane), first = _index, count = 1,
      due = 4000000000000000 + _ticket, waits_for = '@' || _lock, queued = _now
    WHERE e.id = _id RETURNING e.id INTO _id;
  WITH gone AS (
    DELETE FROM lock_lines l WHERE l.ns = _ns AND l.name = _name AND l.lock = ANY (_locks) AND l.called > 0
      RETURNING l.lock
  ) SELECT array_agg(g.lock) INTO _on FROM gone g;
  PERFORM lock_wait(_ns, _lock, _name, _capacities[_taken.place], _ticket, _entry.address, _id);
  IF _taken.others THEN _on := array_remove(_on, _lock) || _lock; END IF;
  FOREACH _lock IN ARRAY coalesce(_on, '{}') LOOP _places := _places || lock_on(_ns, _lock, _now); END LOOP;
  PERFORM wake_each(_ns, _places);
END $$;
