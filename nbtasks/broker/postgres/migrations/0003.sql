-- Whoever may say verbs, without the key, may say them with any number. One with which a sum is larger than a bigint would
-- fail whoever looks at the head of that queue, and so stop it for all. What is there already is not looked at.
ALTER TABLE entries ADD CONSTRAINT entries_in_bounds CHECK (
  first BETWEEN -1099511627776 AND 1099511627776 AND count BETWEEN -1099511627776 AND 1099511627776
  AND attempt BETWEEN -1099511627776 AND 1099511627776
) NOT VALID;
ALTER TABLE results ADD CONSTRAINT results_in_bounds CHECK (
  first BETWEEN -1099511627776 AND 1099511627776 AND count BETWEEN -1099511627776 AND 1099511627776
) NOT VALID;
ALTER TABLE batches ADD CONSTRAINT batches_in_bounds CHECK (
  n BETWEEN -1099511627776 AND 1099511627776 AND done BETWEEN -1099511627776 AND 1099511627776
) NOT VALID;
