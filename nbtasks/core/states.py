"""The states of a call, under Celery's names.

In arrays and in the broker a state is one byte, its code; names are for people.
"""

from __future__ import annotations

PENDING = "PENDING"
RECEIVED = "RECEIVED"
STARTED = "STARTED"
RETRY = "RETRY"
SUCCESS = "SUCCESS"
FAILURE = "FAILURE"
REVOKED = "REVOKED"

NAMES = (PENDING, RECEIVED, STARTED, RETRY, SUCCESS, FAILURE, REVOKED)

PENDING_CODE, RECEIVED_CODE, STARTED_CODE, RETRY_CODE = 0, 1, 2, 3
SUCCESS_CODE, FAILURE_CODE, REVOKED_CODE = 4, 5, 6

#: Codes from here on are final: a call that has one never changes again.
FIRST_READY_CODE = SUCCESS_CODE

READY_STATES = frozenset({SUCCESS, FAILURE, REVOKED})
