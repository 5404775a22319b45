-- Take one numbered flush of a session: record batches, queue chunks. Exactly once, however often it is sent. Whoever says
-- it says on_disk after it: workers may begin meanwhile, and all that they say durably waits for this, too.
--
-- _number     of this flush; the last one is kept with the session
-- _kinds, _words, _frames: the operations, each with its words, parted by tabs, and its bytes
--   F  function                                                 its record
--   B  batch, n, address, function, ttl (ms); label             a new batch
--   N  batch, n; label                                          a batch has n calls in the end
--   O  batch, key                                               a blob that lives as long as the batch
--   C  batch, address, lane, due (ms, 0: now), first, count     a chunk of calls; its frame
--   and those of workflows, as woven() has them
-- _needed     functions that must be there, for their records do not come along
-- _addresses  all of them, with the number of entries that can be taken at once
-- _lanes      "<address> <lane>" of each into which something goes, with _most entries at most; none: it is not looked
-- _due        when the first one of those is due that come later; NULL where none does
-- _woven      whether there is something of workflows
-- Returns "OK", "DUP" (was applied before), "GAP <last>", "NOFN <function>", "FULL <address>"
CREATE FUNCTION submit(
  _ns bigint, _session text, _number bigint, _kinds text[], _words text[], _frames bytea[], _needed text[],
  _addresses text[], _entries bigint[], _lanes text[], _most bigint, _due bigint, _woven boolean
) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _now bigint := now_ms();
  _last bigint;
  _found bigint;
  _lane text;
  _queues bigint[];
  _failed boolean := false;
BEGIN
  PERFORM lazily();
  SELECT last INTO _last FROM sessions WHERE ns = _ns AND session = _session FOR NO KEY UPDATE;
  IF _last IS NULL THEN
    INSERT INTO sessions (ns, session, last, seen) VALUES (_ns, _session, 0, _now) ON CONFLICT DO NOTHING;
    SELECT last INTO _last FROM sessions WHERE ns = _ns AND session = _session FOR NO KEY UPDATE;
  END IF;
  IF _number = _last THEN RETURN 'DUP'; END IF;
  IF _number <> _last + 1 THEN RETURN 'GAP ' || _last; END IF;

  -- What may refuse all of it comes first: a verb that has written something cannot answer that nothing was done.
  FOREACH _lane IN ARRAY _lanes LOOP
    IF is_full(queue_of(_ns, split_part(_lane, ' ', 1)), rank_of(split_part(_lane, ' ', 2)), _most) THEN
      RETURN 'FULL ' || split_part(_lane, ' ', 1);
    END IF;
  END LOOP;
  IF array_length(_needed, 1) > 0 THEN
    -- Locked: nothing that is needed goes between this look and the batch that needs it.
    PERFORM 1 FROM functions WHERE ns = _ns AND digest = ANY (_needed) ORDER BY digest FOR KEY SHARE;
    GET DIAGNOSTICS _found = ROW_COUNT;
    IF _found < array_length(_needed, 1) THEN
      RETURN 'NOFN ' || (SELECT d FROM unnest(_needed) AS d
        WHERE NOT EXISTS (SELECT FROM functions WHERE ns = _ns AND digest = d) LIMIT 1);
    END IF;
  END IF;

  FOR _place IN 1 .. coalesce(array_length(_addresses, 1), 0) LOOP
    PERFORM queue_of(_ns, _addresses[_place]);
  END LOOP;
  IF _woven THEN PERFORM locked_for(_ns, _kinds, _words); END IF;
  PERFORM noted(_ns, _session, _now, _kinds, _words, _frames);
  IF 'C' = ANY (_kinds) THEN
    INSERT INTO entries (ns, queue, batch, rank, due, queued, first, count, attempt, frame)
      SELECT _ns, q.queue, c.w[1], rank_of(c.w[3]), nullif(c.w[4]::bigint, 0), _now, c.w[5]::bigint, c.w[6]::bigint, 1,
          c.f
        FROM (
          SELECT string_to_array(w, E'\t') AS w, f, place
            FROM unnest(_kinds, _words, _frames) WITH ORDINALITY AS o (k, w, f, place) WHERE k = 'C'
        ) c JOIN queues q ON q.ns = _ns AND q.address = c.w[2] ORDER BY c.place;
  END IF;
  IF _woven THEN
    SELECT w.queues, least(_due, w.due), w.failed INTO _queues, _due, _failed
      FROM woven(_ns, _session, _now, _kinds, _words, _frames) w;
  END IF;
  UPDATE sessions SET last = _number, seen = _now WHERE ns = _ns AND session = _session;

  IF _due IS NOT NULL THEN PERFORM tell(_ns, 'due', _due::text::bytea); END IF;
  FOR _place IN 1 .. coalesce(array_length(_addresses, 1), 0) LOOP
    IF _entries[_place] > 0 THEN PERFORM wake(_ns, _addresses[_place], _entries[_place]); END IF;
  END LOOP;
  IF _failed THEN PERFORM tell(_ns, 'wf', ''); END IF;
  IF array_length(_queues, 1) > 0 THEN PERFORM wake_all(_ns, _queues); END IF;
  IF 'B' = ANY (_kinds) OR 'N' = ANY (_kinds) THEN PERFORM wake(_ns, 'happened', 100); END IF;
  RETURN 'OK';
END $$;

-- Record what a flush says of functions, batches and their values, in this order.
CREATE FUNCTION noted(_ns bigint, _session text, _now bigint, _kinds text[], _words text[], _frames bytea[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF 'F' = ANY (_kinds) THEN
    INSERT INTO functions (ns, digest, used, frame)
      SELECT DISTINCT ON (w) _ns, w, _now, f FROM unnest(_kinds, _words, _frames) AS o (k, w, f)
        WHERE k = 'F' ORDER BY w
      ON CONFLICT (ns, digest) DO UPDATE SET frame = excluded.frame, used = excluded.used
        WHERE functions.frame IS DISTINCT FROM excluded.frame;
  END IF;
  IF 'B' = ANY (_kinds) THEN
    INSERT INTO batches (ns, batch, n, address, function, ttl, submitted, sessions, label)
      SELECT _ns, b.w[1], b.w[2]::bigint, b.w[3], b.w[4], b.w[5]::bigint, _now, ARRAY[_session], b.f
        FROM (
          SELECT string_to_array(w, E'\t') AS w, f FROM unnest(_kinds, _words, _frames) AS o (k, w, f) WHERE k = 'B'
        ) b
      -- Sent again after a loss: what has ended is kept.
      ON CONFLICT (ns, batch) DO UPDATE SET n = excluded.n, address = excluded.address,
        function = excluded.function, ttl = excluded.ttl, sessions = excluded.sessions, label = excluded.label;
  END IF;
  IF 'N' = ANY (_kinds) THEN
    UPDATE batches b SET n = o.w[2]::bigint, label = o.f
      FROM (
        SELECT string_to_array(w, E'\t') AS w, f FROM unnest(_kinds, _words, _frames) AS o (k, w, f) WHERE k = 'N'
      ) o WHERE b.ns = _ns AND b.batch = o.w[1];
  END IF;
  IF 'B' = ANY (_kinds) OR 'N' = ANY (_kinds) THEN
    INSERT INTO happened (ns, at, name, frame)
      SELECT _ns, _now, split_part(w, E'\t', 1), f
        FROM unnest(_kinds, _words, _frames) WITH ORDINALITY AS o (k, w, f, place)
        WHERE k IN ('B', 'N') ORDER BY place;
  END IF;
  IF 'O' = ANY (_kinds) THEN
    INSERT INTO batch_blobs (ns, batch, key)
      SELECT _ns, split_part(w, E'\t', 1), split_part(w, E'\t', 2) FROM unnest(_kinds, _words) AS o (k, w)
        WHERE k = 'O' ON CONFLICT DO NOTHING;
    UPDATE blobs SET expires = NULL WHERE ns = _ns AND expires IS NOT NULL AND key IN (
      SELECT split_part(w, E'\t', 2) FROM unnest(_kinds, _words) AS o (k, w) WHERE k = 'O');
  END IF;
END $$;

-- Whether a lane holds so many entries. They are counted only where their numbers say that there may be so many.
CREATE FUNCTION is_full(_queue bigint, _rank smallint, _most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  _span bigint;
BEGIN
  SELECT max(id) - min(id) + 1 INTO _span FROM entries
    WHERE queue = _queue AND rank = _rank AND holder IS NULL AND due IS NULL;
  RETURN coalesce(_span, 0) >= _most AND (
    SELECT count(*) >= _most FROM entries WHERE queue = _queue AND rank = _rank AND holder IS NULL AND due IS NULL);
END $$;
