-- Note that calls of an entry are to be run, which must not run twice; nobody says later that they were not.
--
-- _by      what names the delivery that runs them
-- Returns whether they may have begun elsewhere. Unlike what says who holds an entry, this waits for the disk: so a
-- server that has crashed may give the entry out again, but it still knows that.
CREATE FUNCTION begin_entry(_ns bigint, _id bigint, _by text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
DECLARE
  _before text;
  _doubtful boolean;
BEGIN
  SELECT e.begun_by, e.id <= q.doubtful INTO _before, _doubtful
    FROM entries e JOIN queues q ON q.queue = e.queue WHERE e.id = _id FOR NO KEY UPDATE OF e;
  IF NOT FOUND THEN RETURN true; END IF;
  IF _doubtful OR _before <> _by THEN RETURN true; END IF;
  UPDATE entries SET begun_by = _by WHERE id = _id AND begun_by IS NULL;
  RETURN false;
END $$;
