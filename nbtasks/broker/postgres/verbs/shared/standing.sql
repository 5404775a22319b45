-- What verbs share that has to do with which calls have ended.

-- Rows of results that have some of these calls. Rows of a batch have no call in common, so of those that begin before
-- the calls only the last one can reach into them. Whoever asks has this as a part of the own statement.
CREATE FUNCTION results_of(_ns bigint, _batch text, _first bigint, _count bigint) RETURNS SETOF results
LANGUAGE sql STABLE AS $$
  SELECT * FROM results r
    WHERE r.ns = _ns AND r.batch = _batch AND r.first < _first + _count AND r.first + r.count > _first
      AND r.first >= coalesce((SELECT max(p.first) FROM results p
        WHERE p.ns = _ns AND p.batch = _batch AND p.first <= _first), _first)
$$;

-- How many of some calls have a result.
CREATE FUNCTION covered(_ns bigint, _batch text, _first bigint, _count bigint) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (SELECT coalesce(sum(least(r.first + r.count, _first + _count) - greatest(r.first, _first)), 0)::bigint
    FROM results_of(_ns, _batch, _first, _count) r);
END $$;

-- How entries stand: whether nothing is to be run of one, for its batch is not known or all its calls have ended; whether
-- some of its calls may be final or revoked; and whether whoever cares hears of one that is over: those that were
-- revoked lie there rightly.
CREATE FUNCTION standing_of(
  _ns bigint, _batch text, _first bigint, _count bigint, OUT over boolean, OUT suspect boolean, OUT told boolean
) LANGUAGE plpgsql STABLE AS $$
DECLARE
  _facts record;
  _ended bigint := 0;
BEGIN
  SELECT flagged, done INTO _facts FROM batches WHERE ns = _ns AND batch = _batch;
  IF NOT FOUND THEN
    over := true; suspect := false; told := true;
    RETURN;
  END IF;
  IF _facts.done > 0 THEN _ended := covered(_ns, _batch, _first, _count); END IF;
  over := _ended = _count;
  suspect := _facts.flagged OR _ended > 0;
  told := NOT _facts.flagged;
END $$;

-- An entry as it is given out.
CREATE TYPE entry_out AS (
  queue bigint, lane text, id bigint, batch text, first bigint, count bigint, attempt bigint, suspect boolean,
  doubt text, follows text, frame bytea, over boolean, told boolean
);

CREATE FUNCTION entry_of(
  _queue bigint, _rank smallint, _id bigint, _batch text, _first bigint, _count bigint, _attempt bigint, _flag text,
  _follows text, _frame bytea
) RETURNS entry_out LANGUAGE sql STABLE AS $$
  -- Returned work (an even rank) may have been run by somebody.
  SELECT ROW(_queue, lane_of(_rank), _id, _batch, _first, _count, _attempt, _flag <> '' OR _rank % 2 = 0,
    CASE WHEN _flag IN ('2', '3') THEN _flag ELSE '' END, _follows, _frame, false, false)::entry_out
$$;

-- News, as a report tells them.
CREATE TYPE news_in AS (
  kind text, batch text, first bigint, count bigint, wins text, frame bytea, sessions text[]
);
