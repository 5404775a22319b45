"""From the broker to the records: events, results, and what is done about those that are lost."""
