-- Flag a batch as having revoked calls, and tell the supervisors. The REVOKED results themselves go through finish.
--
-- _running  index of a call that runs on and is not to be run again, -1 for all of them, NULL for none
-- Returns whether the batch is known.
CREATE FUNCTION revoke(_ns bigint, _batch text, _control bytea, _running bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  UPDATE batches SET flagged = true WHERE ns = _ns AND batch = _batch;
  IF NOT FOUND THEN RETURN false; END IF;
  IF _running IS NOT NULL THEN
    INSERT INTO revocations (ns, batch, index, frame) VALUES (_ns, _batch, _running, _control)
      ON CONFLICT (ns, batch, index) DO UPDATE SET frame = excluded.frame;
  END IF;
  PERFORM tell(_ns, 'c', _control);
  RETURN true;
END $$;
