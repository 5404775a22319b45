-- Give calls of an entry to others, uncharged or charged: into the lane for returned work, or aside until a limit lets
-- them start; keep a part or end the entry.
--
-- _of_dead   a worker; nothing is given once it has a lease again
-- _lane, _due, _limit  where the pieces go that are put aside; NULL for the lane for returned work
-- _kept_first, _kept_count  what stays; NULL where the entry ends
-- _end       index after the last call that the consumer takes the entry to hold; NULL for its own
-- _pieces    first, count, attempt of each
-- Returns whether the consumer held the entry; else nothing was changed.
CREATE FUNCTION give(
  _ns bigint, _of_dead text, _consumer text, _id bigint, _lane text, _due bigint, _limit text, _kept_first bigint,
  _kept_count bigint, _end bigint, _pieces bigint[]
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _entry record;
  _flagged text;
  _doubt text;
  _rank smallint;
  _stop bigint;
  _made bigint := coalesce(array_length(_pieces, 1), 0) / 3;
BEGIN
  IF _of_dead IS NOT NULL THEN
    -- Locked, so that it cannot come back in the middle of this.
    PERFORM 1 FROM workers WHERE ns = _ns AND worker = _of_dead FOR SHARE;
    IF EXISTS (SELECT FROM workers WHERE ns = _ns AND worker = _of_dead AND lease IS NOT NULL) THEN
      RETURN false;
    END IF;
  END IF;
  SELECT e.queue, e.batch, e.first, e.count, e.attempt, e.rank, e.flag, q.address, e.id <= q.doubtful AS lost
    INTO _entry FROM entries e JOIN queues q ON q.queue = e.queue
    WHERE e.id = _id AND e.holder = _consumer FOR UPDATE OF e;
  IF NOT FOUND THEN RETURN false; END IF;
  IF _kept_first = _entry.first AND _kept_count = _entry.count THEN RETURN true; END IF;
  SELECT CASE WHEN flagged THEN '1' ELSE '' END INTO _flagged FROM batches WHERE ns = _ns AND batch = _entry.batch;
  _flagged := coalesce(_flagged, '');
  _doubt := CASE WHEN _entry.flag IN ('2', '3') THEN _entry.flag WHEN _entry.lost THEN '2' END;
  _rank := _entry.rank / 2 * 2;
  -- A child and its supervisor may both give at once: what the first one has given, the second one does not have.
  _stop := _entry.first + _entry.count;
  IF _stop > _end THEN
    -- The server has forgotten what was given away before: that is queued again.
    INSERT INTO entries (ns, queue, batch, rank, queued, first, count, attempt, flag, frame)
      SELECT ns, queue, batch, _rank, now_ms(), _end, _stop - _end, attempt, '2', frame FROM entries WHERE id = _id;
    PERFORM wake(_ns, _entry.address, 1);
  END IF;
  IF _kept_first IS NULL AND _made = 1 AND least(_pieces[2], _stop - _pieces[1]) > 0 THEN
    -- All of it goes: its frame, which may be large, stays where it is. Its number is a new one: it is another entry.
    UPDATE entries SET id = DEFAULT, holder = NULL, begun_by = NULL, rank = coalesce(rank_of(_lane), _rank), due = _due,
        waits_for = coalesce(_limit, ''), queued = now_ms(), first = _pieces[1],
        count = least(_pieces[2], _stop - _pieces[1]), attempt = _pieces[3],
        flag = coalesce(_doubt, CASE WHEN _pieces[3] > 1 THEN '1' ELSE _flagged END)
      WHERE id = _id;
  ELSE
    INSERT INTO entries (ns, queue, batch, rank, due, waits_for, queued, first, count, attempt, flag, follows, frame)
      SELECT e.ns, e.queue, e.batch, coalesce(rank_of(_lane), _rank), _due, coalesce(_limit, ''), now_ms(), _pieces[k],
          least(_pieces[k + 1], _stop - _pieces[k]), _pieces[k + 2],
          coalesce(_doubt, CASE WHEN _pieces[k + 2] > 1 THEN '1' ELSE _flagged END), e.follows, e.frame
        FROM entries e, generate_series(1, 3 * _made, 3) AS k
        WHERE e.id = _id AND least(_pieces[k + 1], _stop - _pieces[k]) > 0 ORDER BY k;
    IF _kept_first IS NULL THEN
      DELETE FROM entries WHERE id = _id;
    ELSE
      UPDATE entries SET first = _kept_first, count = _kept_count
        WHERE id = _id AND _kept_first >= first AND _kept_first + _kept_count <= _stop;
    END IF;
  END IF;
  IF _made > 0 AND _due IS NOT NULL THEN
    -- Who queues what is due sleeps until the first of them is.
    PERFORM tell(_ns, 'due', _due::text::bytea);
  ELSIF _made > 0 THEN
    PERFORM wake(_ns, _entry.address, _made);
  END IF;
  RETURN true;
END $$;
