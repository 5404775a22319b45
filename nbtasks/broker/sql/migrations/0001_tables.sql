-- What every verb stands on, for SQLite, and for MariaDB and MySQL. docs/internals/sql.md says why it is as it is.
-- Conventions: ns is the namespace's number. Moments are ms of the epoch by the server's clock. {name} is a text that keys
-- are made of, and is compared by its bytes. No column is called by a word that one of the databases keeps for itself.

CREATE TABLE @namespaces (ns {id}, name {name} NOT NULL UNIQUE) {table};

-- Single facts of a namespace: "ahead" is by how many ms the server's clock was set forward, all in all, since somebody
-- reckons its time; "audited" the life of the server in which entries that nobody holds were last looked for; "trimmed"
-- the last thing that has happened which was dropped.
CREATE TABLE @facts (ns {number} NOT NULL, name {name} NOT NULL, value {text} NOT NULL, PRIMARY KEY (ns, name)) {table};

-- Every address that has had a call or a worker. life is the server's life in which workers came last, doubtful the last
-- entry that may have been given out before it.
CREATE TABLE @queues (
  queue {id}, ns {number} NOT NULL, address {name} NOT NULL, life {name}, doubtful {number} NOT NULL DEFAULT 0,
  UNIQUE (ns, address)
) {table};

-- Calls in the queues, many in one entry. standing is 0 where it waits, 1 where a consumer (holder) has it in hand, 2 where
-- it is to be queued at a moment (due), for which waits_for says the limit, or "@" and the lock, that it waits for, or "?"
-- where it may have begun. place is the lane's in the order of service. begun_by is the delivery by which its calls are to
-- be run, of those that must not run twice. follows says where the results are filed that its calls follow.
CREATE TABLE @entries (
  id {id}, ns {number} NOT NULL, queue {number} NOT NULL, standing {number} NOT NULL DEFAULT 0, place {number} NOT NULL,
  first {number} NOT NULL, size {number} NOT NULL, attempt {number} NOT NULL, due {number}, queued {number} NOT NULL,
  batch {name} NOT NULL, flag {name} NOT NULL, holder {name}, waits_for {name} NOT NULL, begun_by {name}, follows {name},
  frame {bytes} NOT NULL
) {table};
CREATE INDEX entries_by_place ON @entries (queue, standing, place, id);
CREATE INDEX entries_by_due ON @entries (queue, standing, due);
CREATE INDEX entries_by_holder ON @entries (holder);
CREATE INDEX entries_by_batch ON @entries (batch);

-- Clients, by the number of the last flush that was applied.
CREATE TABLE @sessions (
  ns {number} NOT NULL, session {name} NOT NULL, flush {number} NOT NULL, seen {number} NOT NULL, PRIMARY KEY (ns, session)
) {table};

-- What was submitted. done counts calls that have ended; sessions are those that hear of it, with blanks between them;
-- flagged says that states are to be looked at; tied that others wait for it, or it for others: what has to be done then is
-- done for no other batch.
CREATE TABLE @batches (
  ns {number} NOT NULL, batch {name} NOT NULL, n {number} NOT NULL, done {number} NOT NULL DEFAULT 0,
  ttl {number} NOT NULL, submitted {number} NOT NULL, ended {number}, expires {number},
  flagged {number} NOT NULL DEFAULT 0, tied {number} NOT NULL DEFAULT 0, address {name} NOT NULL, digest {name} NOT NULL, sessions {text} NOT NULL,
  label {bytes} NOT NULL, PRIMARY KEY (ns, batch)
) {table};
CREATE INDEX batches_by_age ON @batches (ns, submitted);
CREATE INDEX batches_by_end ON @batches (ns, expires);
CREATE INDEX batches_by_digest ON @batches (ns, digest);

-- Calls whose results nobody wants any more, of those that share a batch.
CREATE TABLE @unwanted (
  ns {number} NOT NULL, batch {name} NOT NULL, nth {number} NOT NULL, PRIMARY KEY (ns, batch, nth)
) {table};

-- Orders to revoke calls that ran then; -1 is all of a batch.
CREATE TABLE @revocations (
  ns {number} NOT NULL, batch {name} NOT NULL, nth {number} NOT NULL, frame {bytes} NOT NULL, PRIMARY KEY (ns, batch, nth)
) {table};

-- The truth about results: no two rows of a batch have a call in common, and none ever changes. states has a byte a call.
CREATE TABLE @results (
  ns {number} NOT NULL, batch {name} NOT NULL, first {number} NOT NULL, size {number} NOT NULL, states {bytes} NOT NULL,
  record {bytes} NOT NULL, PRIMARY KEY (ns, batch, first)
) {table};

CREATE TABLE @functions (
  ns {number} NOT NULL, digest {name} NOT NULL, frame {bytes} NOT NULL, PRIMARY KEY (ns, digest)
) {table};

-- Pieces of large values, in parts that any statement may bring. One that no batch has taken over expires.
CREATE TABLE @blobs (
  ns {number} NOT NULL, name {name} NOT NULL, size {number} NOT NULL, expires {number}, PRIMARY KEY (ns, name)
) {table};
CREATE INDEX blobs_by_end ON @blobs (ns, expires);
CREATE TABLE @blob_parts (
  ns {number} NOT NULL, name {name} NOT NULL, part {number} NOT NULL, data {bytes} NOT NULL, PRIMARY KEY (ns, name, part)
) {table};
CREATE TABLE @batch_blobs (
  ns {number} NOT NULL, batch {name} NOT NULL, name {name} NOT NULL, PRIMARY KEY (ns, batch, name)
) {table};
CREATE INDEX batch_blobs_by_name ON @batch_blobs (ns, name);

-- Graphs of workflows, and groups that were saved.
CREATE TABLE @plans (
  ns {number} NOT NULL, name {name} NOT NULL, expires {number}, frame {bytes} NOT NULL, PRIMARY KEY (ns, name)
) {table};

-- Results that later runs may take, by their names.
CREATE TABLE @kept_calls (
  ns {number} NOT NULL, name {name} NOT NULL, batch {name} NOT NULL, nth {number} NOT NULL, expires {number} NOT NULL,
  PRIMARY KEY (ns, name)
) {table};

-- Which call a key of a unique task stands for, since when, and until when (0: for as long as it waits or runs).
CREATE TABLE @unique_calls (
  ns {number} NOT NULL, name {name} NOT NULL, batch {name} NOT NULL, since {number} NOT NULL, ends {number} NOT NULL,
  PRIMARY KEY (ns, name)
) {table};

-- Workers: lease is for how long it counts (ms) and a number that grows with each renewal; none of one that has ended.
CREATE TABLE @workers (
  ns {number} NOT NULL, worker {name} NOT NULL, seen {number} NOT NULL, buried {number} NOT NULL DEFAULT 0, lease {bytes},
  info {text} NOT NULL, PRIMARY KEY (ns, worker)
) {table};

CREATE TABLE @elections (
  ns {number} NOT NULL, duty {name} NOT NULL, worker {name} NOT NULL, ends {number} NOT NULL, PRIMARY KEY (ns, duty)
) {table};

-- What all supervisors are told, in order.
CREATE TABLE @control (
  id {id}, ns {number} NOT NULL, told {number} NOT NULL, kind {name} NOT NULL, data {bytes} NOT NULL
) {table};
CREATE INDEX control_by_id ON @control (ns, id);
CREATE TABLE @task_limits (
  ns {number} NOT NULL, task {name} NOT NULL, frame {bytes} NOT NULL, PRIMARY KEY (ns, task)
) {table};
CREATE TABLE @answers (
  ns {number} NOT NULL, reply {name} NOT NULL, worker {name} NOT NULL, told {number} NOT NULL, frame {bytes} NOT NULL,
  PRIMARY KEY (ns, reply, worker)
) {table};

-- Rate limits: when the next call may start, and when the next one of those that wait shall ask again, in us.
CREATE TABLE @rates (
  ns {number} NOT NULL, name {name} NOT NULL, starts {number} NOT NULL, asks {number} NOT NULL, PRIMARY KEY (ns, name)
) {table};

-- What has happened to calls and workers, for who looks on; nothing else depends on it.
CREATE TABLE @happened (
  id {id}, ns {number} NOT NULL, told {number} NOT NULL, name {name} NOT NULL, wins {text}, frame {bytes} NOT NULL
) {table};
CREATE INDEX happened_by_id ON @happened (ns, id);

-- What sessions are told, a hint; and the last number of each session's news. That row is locked until what tells them is
-- committed, so that numbers come in the order of commits: else who reads on from one would pass over what comes later.
CREATE TABLE @news (
  ns {number} NOT NULL, session {name} NOT NULL, id {number} NOT NULL, told {number} NOT NULL, kind {name} NOT NULL,
  batch {name} NOT NULL, first {number} NOT NULL, size {number} NOT NULL, wins {text} NOT NULL, frame {bytes} NOT NULL,
  PRIMARY KEY (ns, session, id)
) {table};
CREATE TABLE @listeners (
  ns {number} NOT NULL, session {name} NOT NULL, told {number} NOT NULL, PRIMARY KEY (ns, session)
) {table};

-- States that tasks have named themselves, of calls that run.
CREATE TABLE @own_states (
  ns {number} NOT NULL, batch {name} NOT NULL, nth {number} NOT NULL, told {number} NOT NULL, frame {bytes} NOT NULL,
  PRIMARY KEY (ns, batch, nth)
) {table};

-- Locks. Whoever changes one, or who stands in its line, has its row here until the transaction ends. ticket is the last
-- number that was given out for it: it says who was first in the line, and it is the token.
CREATE TABLE @lock_marks (
  ns {number} NOT NULL, name {name} NOT NULL, ticket {number} NOT NULL, PRIMARY KEY (ns, name)
) {table};

-- Who holds one, by the name of the call ("<batch>:<index>") or of the code that does. worker is the part of its consumer
-- that has a lease. capacity is how many may hold it at once, as the holder says.
CREATE TABLE @lock_holds (
  ns {number} NOT NULL, held {name} NOT NULL, name {name} NOT NULL, capacity {number} NOT NULL, token {number} NOT NULL,
  since {number} NOT NULL, worker {name} NOT NULL, consumer {name} NOT NULL, title {text} NOT NULL,
  PRIMARY KEY (ns, held, name)
) {table};
CREATE INDEX lock_holds_by_worker ON @lock_holds (ns, worker);

-- Who waits for one, in the order of tickets. address is that of the queue that the call comes back to, and entry what it
-- lies in meanwhile; "@" of code that waits by itself. called: it was told that it is its turn, and is waited for until then
-- (ms).
CREATE TABLE @lock_lines (
  ns {number} NOT NULL, held {name} NOT NULL, name {name} NOT NULL, capacity {number} NOT NULL, ticket {number} NOT NULL,
  address {name} NOT NULL, entry {number}, called {number}, PRIMARY KEY (ns, name, held)
) {table};
CREATE INDEX lock_lines_by_ticket ON @lock_lines (ns, held, ticket);

-- Periodic tasks, by the key that they are signed with. due is when one is due next, none where it pauses or never is;
-- version a hash of its frame; timetable a text that is only compared; client with whom it ends, gone since when that is not
-- there. What was due up to fence may wait for the run before. runs: when the last ones were due, and their batches, the
-- newest first, as "due batch" with commas between them.
CREATE TABLE @periodic_tasks (
  ns {number} NOT NULL, key_id {name} NOT NULL, id {name} NOT NULL, due {number}, paused {number}, gone {number},
  fence {number} NOT NULL DEFAULT 0, fired {number} NOT NULL DEFAULT 0, overlapped {number} NOT NULL DEFAULT 0,
  missed {number} NOT NULL DEFAULT 0, ttl {number} NOT NULL, version {name} NOT NULL, digest {name} NOT NULL,
  client {name} NOT NULL, timetable {text} NOT NULL, runs {text} NOT NULL, frame {bytes} NOT NULL,
  PRIMARY KEY (ns, key_id, id)
) {table};
CREATE INDEX periodic_tasks_by_due ON @periodic_tasks (ns, key_id, due);
CREATE INDEX periodic_tasks_by_digest ON @periodic_tasks (ns, digest);

-- Clients with which some of them end: when they said last that they are there, and for how long that counts.
CREATE TABLE @periodic_clients (
  ns {number} NOT NULL, client {name} NOT NULL, said {number} NOT NULL, span {number} NOT NULL, PRIMARY KEY (ns, client)
) {table};

-- Workflows. Chunks of calls that wait for others lie in entries, under the negative number of their queue: so nobody who
-- looks into a queue sees them. due is for how many ms they wait when they are released.
--
-- Batches as parts of workflows; own is 0 of one that was submitted before, whose results the workflow needs. excuses says
-- that one of those that wait for it is to run only after a failure; complete that all its chunks are there; released that
-- nothing of it is parked any more; releasing that some of it still has to be queued. awaits counts its rows in waits,
-- without each_of, the batch whose calls its own follow one by one, size of them in a chunk.
-- A call that was put aside until some batches have ended is a step under a name of its own, and entry is where it lies.
CREATE TABLE @steps (
  ns {number} NOT NULL, batch {name} NOT NULL, workflow {name} NOT NULL, own {number} NOT NULL,
  excuses {number} NOT NULL DEFAULT 0, complete {number} NOT NULL DEFAULT 0, released {number} NOT NULL DEFAULT 0,
  releasing {number} NOT NULL DEFAULT 0, awaits {number} NOT NULL DEFAULT 0, size {number} NOT NULL DEFAULT 0,
  entry {number}, each_of {name}, PRIMARY KEY (ns, batch, workflow)
) {table};
CREATE INDEX steps_by_workflow ON @steps (ns, workflow);
CREATE INDEX steps_by_release ON @steps (ns, releasing);

-- What steps wait for that has not ended: some calls of a batch, or (-1) all of it; or, where size is not 0, each of its
-- calls for one of theirs.
CREATE TABLE @waits (
  id {id}, ns {number} NOT NULL, awaited {name} NOT NULL, batch {name} NOT NULL, first {number} NOT NULL,
  calls {number} NOT NULL, size {number} NOT NULL DEFAULT 0
) {table};
CREATE INDEX waits_by_awaited ON @waits (ns, awaited);
CREATE INDEX waits_by_batch ON @waits (ns, batch);

-- Workflows in which something has failed: until when (us) somebody passes that on, 0 while nobody does. session is the
-- client's of one of which only a part has come yet.
CREATE TABLE @fallout (
  ns {number} NOT NULL, workflow {name} NOT NULL, until_us {number} NOT NULL, session {name}, PRIMARY KEY (ns, workflow)
) {table};

-- Tied batches that have ended and whose time was not looked at since: they are kept as long as a workflow needs them.
CREATE TABLE @closing (id {id}, ns {number} NOT NULL, batch {name} NOT NULL) {table};
CREATE INDEX closing_by_ns ON @closing (ns);
