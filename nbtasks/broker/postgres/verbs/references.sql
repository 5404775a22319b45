-- Look which entries were queued at some addresses since anybody asked, and nobody has taken yet: a carrier is told of
-- them. Of several who ask, one is told of an entry. Entries get their numbers in another order than they are committed,
-- so each look goes back a little, and what was told of there is noted.
--
-- _channel  on which who asks is woken when something comes; NULL: it does not lie down
-- _back     how far it goes back
-- _most     entries of a lane that are looked at. What is not told by that is found by who compares.
-- Returns addresses, with how many there are, those alone at which there are any.
CREATE FUNCTION queued_entries(_ns bigint, _addresses text[], _channel text, _back bigint, _most bigint)
RETURNS TABLE (address text, number bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _queue bigint;
  _told record;
  _new bigint[];
  _last bigint;
BEGIN
  PERFORM lazily();
  IF _channel IS NOT NULL THEN PERFORM doze(_ns, _addresses, _channel); END IF;
  FOREACH address IN ARRAY _addresses LOOP
    _queue := queue_of(_ns, address);
    INSERT INTO told (queue, last, near) VALUES (_queue, 0, '{}') ON CONFLICT DO NOTHING;
    SELECT t.last, t.near INTO _told FROM told t WHERE t.queue = _queue FOR NO KEY UPDATE;
    SELECT array_agg(e.id) INTO _new FROM generate_series(0, 5) AS r CROSS JOIN LATERAL (
      SELECT w.id FROM entries w WHERE w.queue = _queue AND w.holder IS NULL AND w.due IS NULL
        AND w.rank = r AND w.id > _told.last - _back ORDER BY w.id LIMIT _most
    ) e WHERE e.id <> ALL (_told.near);
    CONTINUE WHEN _new IS NULL;
    _last := greatest(_told.last, (SELECT max(n) FROM unnest(_new) n));
    UPDATE told t SET last = _last,
        near = ARRAY(SELECT n FROM unnest(_told.near || _new) n WHERE n > _last - _back)
      WHERE t.queue = _queue;
    number := cardinality(_new);
    RETURN NEXT;
  END LOOP;
END $$;
