-- What every verb stands on. docs/internals/postgresql.md says why each table is as it is.
-- Conventions: ns is the namespace's number. Moments are ms of the epoch by the server's clock. Names of batches, queues,
-- workers are text that is compared by its bytes. Frames and records are stored as they come: most are compressed already,
-- and to try it again costs more than it saves.

CREATE TABLE namespaces (
  ns bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE
);

-- Single facts of a namespace: "ahead" is by how many ms the server's clock was set forward, all in all, since somebody
-- reckons its time; "audited" the life of the server in which entries that nobody holds were last looked for.
CREATE TABLE facts (
  ns bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (ns, name)
);

-- Every address that has had a call or a worker. life is the server's life in which workers came last, doubtful the last
-- entry that may have been given out before it.
CREATE TABLE queues (
  queue bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ns bigint NOT NULL,
  address text COLLATE "C" NOT NULL,
  life text,
  doubtful bigint NOT NULL DEFAULT 0,
  UNIQUE (ns, address)
);

-- Calls in the queues, many in one entry. holder is the consumer that has it in hand; due says when it is to be queued, of
-- what waits for that; waits_for the limit, or "@" and the lock, that it waits for, or "?" where it may have begun. rank is
-- the lane's place in the order of service. begun_by is the delivery by which its calls are to be run, of those that must
-- not run twice. follows says where the results are filed that its calls follow.
CREATE TABLE entries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ns bigint NOT NULL,
  queue bigint NOT NULL,
  first bigint NOT NULL,
  count bigint NOT NULL,
  attempt bigint NOT NULL,
  due bigint,
  queued bigint NOT NULL,
  rank smallint NOT NULL,
  batch text COLLATE "C" NOT NULL,
  flag text COLLATE "C" NOT NULL DEFAULT '',
  holder text COLLATE "C",
  waits_for text COLLATE "C" NOT NULL DEFAULT '',
  begun_by text COLLATE "C",
  follows text COLLATE "C",
  frame bytea NOT NULL
) WITH (
  fillfactor = 80,
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0.5,
  autovacuum_vacuum_cost_delay = 0, toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 5000
);
ALTER TABLE entries ALTER COLUMN frame SET STORAGE EXTERNAL;
CREATE INDEX entries_waiting ON entries (queue, rank, id) WHERE holder IS NULL AND due IS NULL;
CREATE INDEX entries_due ON entries (queue, due) WHERE due IS NOT NULL;
CREATE INDEX entries_held ON entries (holder) WHERE holder IS NOT NULL;
CREATE INDEX entries_of_batch ON entries (batch);

-- Clients, by the number of the last flush that was applied.
CREATE TABLE sessions (
  ns bigint NOT NULL,
  session text COLLATE "C" NOT NULL,
  last bigint NOT NULL,
  seen bigint NOT NULL,
  PRIMARY KEY (ns, session)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What was submitted. done counts calls that have ended; sessions are those that hear of it; flagged says that states are
-- to be looked at; unwanted has the calls, of those that share the batch, whose results nobody wants any more; tied that
-- others wait for it, or it for others: what has to be done then is done for no other batch.
CREATE TABLE batches (
  ns bigint NOT NULL,
  batch text COLLATE "C" NOT NULL,
  n bigint NOT NULL,
  done bigint NOT NULL DEFAULT 0,
  ttl bigint NOT NULL,
  submitted bigint NOT NULL,
  ended bigint,
  expires bigint,
  flagged boolean NOT NULL DEFAULT false,
  tied boolean NOT NULL DEFAULT false,
  address text COLLATE "C" NOT NULL,
  function text COLLATE "C" NOT NULL,
  sessions text[] COLLATE "C" NOT NULL,
  unwanted bigint[] NOT NULL DEFAULT '{}',
  label bytea NOT NULL,
  PRIMARY KEY (ns, batch)
) WITH (
  fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 1
);
ALTER TABLE batches ALTER COLUMN label SET STORAGE EXTERNAL;
-- An expression, which only the list of batches has: a plan that is made while there are none would look a single batch up
-- in here, and pass over all others each time.
CREATE INDEX batches_by_age ON batches ((ns + 0), submitted);
CREATE INDEX batches_that_expire ON batches (ns, expires) WHERE expires IS NOT NULL;

-- Orders to revoke calls that ran then; index -1 is all of a batch.
CREATE TABLE revocations (
  ns bigint NOT NULL,
  batch text COLLATE "C" NOT NULL,
  index bigint NOT NULL,
  frame bytea NOT NULL,
  PRIMARY KEY (ns, batch, index)
);

-- The truth about results: no two rows of a batch have a call in common, and none ever changes. states has a byte a call.
CREATE TABLE results (
  ns bigint NOT NULL,
  first bigint NOT NULL,
  count bigint NOT NULL,
  batch text COLLATE "C" NOT NULL,
  states bytea NOT NULL,
  record bytea NOT NULL,
  PRIMARY KEY (ns, batch, first)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
ALTER TABLE results ALTER COLUMN record SET STORAGE EXTERNAL;

CREATE TABLE functions (
  ns bigint NOT NULL,
  digest text COLLATE "C" NOT NULL,
  used bigint NOT NULL,
  frame bytea NOT NULL,
  PRIMARY KEY (ns, digest)
);
ALTER TABLE functions ALTER COLUMN frame SET STORAGE EXTERNAL;

-- Pieces of large values. One that no batch has taken over expires.
CREATE TABLE blobs (
  ns bigint NOT NULL,
  key text COLLATE "C" NOT NULL,
  expires bigint,
  data bytea NOT NULL,
  PRIMARY KEY (ns, key)
);
ALTER TABLE blobs ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE INDEX blobs_that_expire ON blobs (ns, expires) WHERE expires IS NOT NULL;
CREATE TABLE batch_blobs (
  ns bigint NOT NULL,
  batch text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  PRIMARY KEY (ns, batch, key)
);
CREATE INDEX batches_of_blob ON batch_blobs (ns, key);

-- Graphs of workflows, and groups that were saved.
CREATE TABLE plans (
  ns bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  expires bigint,
  frame bytea NOT NULL,
  PRIMARY KEY (ns, name)
);

-- Results that later runs may take, by their names.
CREATE TABLE kept_calls (
  ns bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  batch text COLLATE "C" NOT NULL,
  index bigint NOT NULL,
  expires bigint NOT NULL,
  PRIMARY KEY (ns, name)
);

-- Which call a key of a unique task stands for, since when, and until when (0: for as long as it waits or runs).
CREATE TABLE unique_calls (
  ns bigint NOT NULL,
  key text COLLATE "C" NOT NULL,
  batch text COLLATE "C" NOT NULL,
  since bigint NOT NULL,
  until bigint NOT NULL,
  PRIMARY KEY (ns, key)
);

-- Workers: lease is for how long it counts (ms) and a number that grows with each renewal; none of one that has ended.
CREATE TABLE workers (
  ns bigint NOT NULL,
  worker text COLLATE "C" NOT NULL,
  seen bigint NOT NULL,
  buried boolean NOT NULL DEFAULT false,
  lease bytea,
  info text NOT NULL DEFAULT '',
  PRIMARY KEY (ns, worker)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE TABLE elections (
  ns bigint NOT NULL,
  duty text COLLATE "C" NOT NULL,
  worker text COLLATE "C" NOT NULL,
  until bigint NOT NULL,
  PRIMARY KEY (ns, duty)
) WITH (fillfactor = 50);

-- Periodic tasks, by the key that they are signed with. due is when one is due next, none where it pauses or never is;
-- version a hash of its frame; timetable a text that is only compared; client with whom it ends, gone since when that is
-- not there. What was due up to fence may wait for the run before. dues and runs: when the last runs were due, and their
-- batches, the newest first.
CREATE TABLE periodic_tasks (
  ns bigint NOT NULL,
  due bigint CHECK (due BETWEEN 0 AND 250000000000000),
  paused bigint,
  gone bigint,
  fence bigint NOT NULL DEFAULT 0,
  fired bigint NOT NULL DEFAULT 0,
  overlapped bigint NOT NULL DEFAULT 0,
  missed bigint NOT NULL DEFAULT 0,
  ttl bigint NOT NULL,
  key_id text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL CHECK (id ~ '^[0-9a-f]{1,20}$'),
  version text COLLATE "C" NOT NULL,
  function text COLLATE "C" NOT NULL,
  client text COLLATE "C" NOT NULL,
  timetable text NOT NULL,
  dues bigint[] NOT NULL DEFAULT '{}',
  runs text[] COLLATE "C" NOT NULL DEFAULT '{}',
  frame bytea NOT NULL CHECK (octet_length(frame) <= 4194304),
  PRIMARY KEY (ns, key_id, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
ALTER TABLE periodic_tasks ALTER COLUMN frame SET STORAGE EXTERNAL;
CREATE INDEX periodic_tasks_due ON periodic_tasks (ns, key_id, due) WHERE due IS NOT NULL;
CREATE INDEX periodic_tasks_by_function ON periodic_tasks (ns, function);

-- Clients with which some of them end: when they said last that they are there, and for how long that counts.
CREATE TABLE periodic_clients (
  ns bigint NOT NULL,
  client text COLLATE "C" NOT NULL,
  said bigint NOT NULL,
  span bigint NOT NULL,
  PRIMARY KEY (ns, client)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- What all supervisors are told, in order.
CREATE TABLE control (
  ns bigint NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  told bigint NOT NULL,
  kind text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (ns, id)
);
CREATE TABLE task_limits (
  ns bigint NOT NULL,
  task text NOT NULL,
  frame bytea NOT NULL,
  PRIMARY KEY (ns, task)
);

-- Rate limits: when the next call may start, and when the next one of those that wait shall ask again, in us.
CREATE TABLE rates (
  ns bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  next bigint NOT NULL,
  line bigint NOT NULL,
  PRIMARY KEY (ns, name)
) WITH (fillfactor = 50);

-- Locks: who holds one, by the name of the call ("<batch>:<index>") or of the code that does. worker is the part of its
-- consumer that has a lease. capacity is how many may hold it at once, as the holder says.
CREATE TABLE lock_holds (
  ns bigint NOT NULL,
  lock text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  capacity bigint NOT NULL,
  token bigint NOT NULL,
  since bigint NOT NULL,
  worker text COLLATE "C" NOT NULL,
  consumer text COLLATE "C" NOT NULL,
  title text NOT NULL,
  PRIMARY KEY (ns, lock, name)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX lock_holds_of_worker ON lock_holds (ns, worker);

-- Who waits for one, in the order of tickets. address is that of the queue that the call comes back to, and entry what it
-- lies in meanwhile; "@" of code that waits by itself. called: it was told that it is its turn, and is waited for until then
-- (ms).
CREATE TABLE lock_lines (
  ns bigint NOT NULL,
  lock text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  capacity bigint NOT NULL,
  ticket bigint NOT NULL,
  address text COLLATE "C" NOT NULL,
  entry bigint,
  called bigint
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- While the table is empty all of them seem alike, and the last one is taken. Plans that are made then are kept for long.
CREATE INDEX lock_lines_in_order ON lock_lines (ns, lock, ticket);
CREATE INDEX lock_lines_called ON lock_lines (ns, lock, called) WHERE called IS NOT NULL;
ALTER TABLE lock_lines ADD PRIMARY KEY (ns, name, lock);

-- Tickets and tokens; lock_ticket() says how they grow.
CREATE SEQUENCE lock_tickets;

-- What has happened to calls and workers, for who looks on; nothing else depends on it. xid is the transaction that has
-- noted it: by that, who reads on knows what it could not see the last time.
CREATE TABLE happened (
  ns bigint NOT NULL,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id bigint GENERATED ALWAYS AS IDENTITY,
  at bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  wins text COLLATE "C",
  frame bytea NOT NULL,
  PRIMARY KEY (ns, xid, id)
);

-- How much of that was dropped so far: so who reads it knows what it has missed.
CREATE TABLE happened_before (
  ns bigint PRIMARY KEY,
  dropped bigint NOT NULL
);

-- Workflows. Chunks of calls that wait for others lie in entries, under the negative number of their queue: so nobody who
-- looks into a queue sees them, and their frames stay where they are when they are queued. due is for how many ms they wait
-- then.
CREATE INDEX entries_parked ON entries (batch, first) WHERE queue < 0;

-- Batches as parts of workflows; own is false of one that was submitted before, whose results the workflow needs. excuses
-- says that one of those that wait for it is to run only after a failure; complete that all its chunks are there;
-- released that nothing of it is parked any more; releasing that some of it still has to be queued. awaits counts its rows
-- in waits, without each_of, the batch whose calls its own follow one by one, size of them in a chunk.
-- The namespace comes last in keys: a plan that is made while there are few rows would look all of it through for a batch.
-- A call that was put aside until some batches have ended is a step under a name of its own, and entry is where it lies.
CREATE TABLE steps (
  ns bigint NOT NULL,
  batch text COLLATE "C" NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  own boolean NOT NULL,
  excuses boolean NOT NULL DEFAULT false,
  complete boolean NOT NULL DEFAULT false,
  released boolean NOT NULL DEFAULT false,
  releasing boolean NOT NULL DEFAULT false,
  awaits bigint NOT NULL DEFAULT 0,
  size bigint NOT NULL DEFAULT 0,
  entry bigint,
  each_of text COLLATE "C",
  PRIMARY KEY (batch, workflow, ns)
) WITH (
  fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 1
);
CREATE INDEX steps_of_workflow ON steps (workflow);
CREATE INDEX steps_releasing ON steps (ns) WHERE releasing;

-- What steps wait for that has not ended: count calls of a batch, or -1 for all of it; or, where size is not 0, each of
-- its calls for one of theirs.
CREATE TABLE waits (
  ns bigint NOT NULL,
  before text COLLATE "C" NOT NULL,
  batch text COLLATE "C" NOT NULL,
  first bigint NOT NULL,
  count bigint NOT NULL,
  size bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (before, batch, first, count, ns)
) WITH (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 1
);

-- Workflows in which something has failed: until when (us) somebody passes that on, 0 while nobody does. session is the
-- client's of one of which only a part has come yet.
CREATE TABLE fallout (
  ns bigint NOT NULL,
  workflow text COLLATE "C" NOT NULL,
  until bigint NOT NULL,
  session text COLLATE "C",
  PRIMARY KEY (ns, workflow)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Tied batches that have ended and whose time was not looked at since: they are kept as long as a workflow needs them.
CREATE TABLE closing (
  ns bigint NOT NULL,
  batch text COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX closing_by_namespace ON closing (ns);

-- From here on what may be lost with the server's process: it is told again, or asked for again.

-- What sessions are told, a hint; and the last number of each session's news. That row is locked until what tells them is
-- committed, so that numbers come in the order of commits: else who reads on from one would pass over what comes later.
CREATE UNLOGGED TABLE news (
  ns bigint NOT NULL,
  id bigint NOT NULL,
  told bigint NOT NULL,
  first bigint NOT NULL,
  count bigint NOT NULL,
  session text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  batch text COLLATE "C" NOT NULL,
  wins text COLLATE "C" NOT NULL,
  frame bytea NOT NULL,
  PRIMARY KEY (ns, session, id)
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE news ALTER COLUMN frame SET STORAGE EXTERNAL;
CREATE UNLOGGED TABLE listeners (
  ns bigint NOT NULL,
  session text COLLATE "C" NOT NULL,
  last bigint NOT NULL,
  PRIMARY KEY (ns, session)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Who waits where: consumers at addresses, sessions at their ids, supervisors at "ctl"; and the channel that wakes them.
CREATE UNLOGGED TABLE sleepers (
  ns bigint NOT NULL,
  place text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  since bigint NOT NULL,
  PRIMARY KEY (ns, place, channel)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE INDEX sleepers_by_channel ON sleepers (channel);

-- States that tasks have named themselves, of calls that run.
CREATE UNLOGGED TABLE own_states (
  ns bigint NOT NULL,
  batch text COLLATE "C" NOT NULL,
  index bigint NOT NULL,
  told bigint NOT NULL,
  frame bytea NOT NULL,
  PRIMARY KEY (ns, batch, index)
);

CREATE UNLOGGED TABLE answers (
  ns bigint NOT NULL,
  reply text COLLATE "C" NOT NULL,
  worker text COLLATE "C" NOT NULL,
  told bigint NOT NULL,
  frame bytea NOT NULL,
  PRIMARY KEY (ns, reply, worker)
);

-- Up to which entry of a queue a carrier was told, and of which of those shortly before it.
CREATE UNLOGGED TABLE told (
  queue bigint PRIMARY KEY,
  last bigint NOT NULL,
  near bigint[] NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
