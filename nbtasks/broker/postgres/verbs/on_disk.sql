-- Wait until all that was done before is on the disk, or wherever the server's synchronous_commit has it.
CREATE FUNCTION on_disk(_ns bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
BEGIN
  -- Nobody reads it. A transaction that has written nothing would not wait.
  PERFORM pg_logical_emit_message(true, 'nbtasks', '');
END $$;
