-- By which transaction supervisors were told something: numbers come in another order than commits.
ALTER TABLE control ADD COLUMN xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX control_by_transaction ON control (ns, xid, id);
