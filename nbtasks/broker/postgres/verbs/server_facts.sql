-- What the server is: its version, and whether it takes no writes.
CREATE FUNCTION server_facts(_ns bigint, OUT version text, OUT read_only boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT current_setting('server_version'), pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'
$$;

-- What names the server's life. It goes on over a restart, for what was confirmed is on the disk; a standby that takes
-- over, and a server that is restored, begins another one. Where it confirms before it has written, each run is one.
CREATE FUNCTION server_life(_ns bigint) RETURNS text
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || CASE
    -- That of the last checkpoint is behind for a moment after a promotion.
    WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
  END
    || CASE WHEN current_setting('synchronous_commit') = 'off' OR current_setting('fsync') = 'off'
      THEN '/' || extract(epoch FROM pg_postmaster_start_time()) ELSE '' END
$$;

-- What the server says of itself: seconds since it was started, its clients in this database, those of ours that wait to be
-- woken, transactions in this database so far, about how many rows there are in our tables, whether it waits for the disk,
-- and what it is.
CREATE FUNCTION server_gauges(
  _ns bigint, OUT uptime bigint, OUT clients bigint, OUT asleep bigint, OUT commands bigint, OUT keys bigint,
  OUT is_durable boolean, OUT role text
) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT SET plan_cache_mode FROM CURRENT AS $$
  SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::bigint,
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
    (SELECT count(DISTINCT channel) FROM sleepers),
    (SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()),
    (SELECT sum(n_live_tup)::bigint FROM pg_stat_user_tables WHERE schemaname = current_schema()),
    current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off',
    CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END
$$;
