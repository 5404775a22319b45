-- See that entries can be taken from some queues, and note which of them may have been given out before: where the server
-- is in another life, it may have lost who took them.
--
-- _life   what names the server's life, in which it has surely forgotten nothing
-- _now    the server's time as it is reckoned (ms); what is due by then is queued before. NULL: nothing is
-- Returns address and number of each queue.
CREATE FUNCTION prepare(_ns bigint, _addresses text[], _life text, _now bigint)
RETURNS TABLE (address text, queue bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _address text;
  _queue bigint;
  _seen text;
BEGIN
  FOREACH _address IN ARRAY _addresses LOOP
    _queue := queue_of(_ns, _address);
    IF _now IS NOT NULL THEN PERFORM promoted(_ns, _queue, _address, _now, 1000000); END IF;
    SELECT q.life INTO _seen FROM queues q WHERE q.queue = _queue;
    IF _seen IS DISTINCT FROM _life THEN
      -- Locked: of several who come, one notes it.
      SELECT q.life INTO _seen FROM queues q WHERE q.queue = _queue FOR NO KEY UPDATE;
      IF _seen IS NOT NULL AND _seen <> _life THEN
        UPDATE queues q SET doubtful = coalesce((SELECT max(e.id) FROM entries e), 0) WHERE q.queue = _queue;
      END IF;
      UPDATE queues q SET life = _life WHERE q.queue = _queue;
    END IF;
    address := _address;
    queue := _queue;
    RETURN NEXT;
  END LOOP;
END $$;
