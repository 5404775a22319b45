-- See that entries can be taken from some queues, and note which of them may have been given out before: where the server
-- is in another life, it may have lost who took them.
--
-- _life   what names the server's life, in which it has surely forgotten nothing
-- _now    the server's time as it is reckoned (ms); what is due by then is queued before. NULL: nothing is
-- Returns address and number of each queue.
CREATE FUNCTION prepare(_ns bigint, _addresses text[], _life text, _now bigint)
RETURNS TABLE (address text, queue bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _queues bigint[] := ARRAY(SELECT queue_of(_ns, a) FROM unnest(_addresses) AS a);
  _seen text;
BEGIN
  IF EXISTS (SELECT FROM queues q WHERE q.queue = ANY (_queues) AND q.life IS DISTINCT FROM _life) THEN
    -- Locked, all of them before anybody is woken: of several who come, one notes it.
    PERFORM 1 FROM queues q WHERE q.queue = ANY (_queues) ORDER BY q.queue FOR NO KEY UPDATE;
  END IF;
  FOR _place IN 1 .. coalesce(array_length(_queues, 1), 0) LOOP
    address := _addresses[_place];
    queue := _queues[_place];
    IF _now IS NOT NULL THEN PERFORM promoted(_ns, queue, address, _now, 1000000); END IF;
    SELECT q.life INTO _seen FROM queues q WHERE q.queue = _queues[_place];
    IF _seen IS DISTINCT FROM _life THEN
      UPDATE queues q SET life = _life, doubtful = CASE
          WHEN _seen IS NULL THEN q.doubtful ELSE coalesce((SELECT max(e.id) FROM entries e), 0) END
        WHERE q.queue = _queues[_place];
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
