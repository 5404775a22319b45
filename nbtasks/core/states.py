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
#: Calls with these can be submitted again.
RETRIABLE_CODES = (FAILURE_CODE, REVOKED_CODE)

#: Celery's, which no call has here.
REJECTED, IGNORED = "REJECTED", "IGNORED"

READY_STATES = frozenset({SUCCESS, FAILURE, REVOKED})
UNREADY_STATES = frozenset({PENDING, RECEIVED, STARTED, RETRY})
EXCEPTION_STATES = frozenset({RETRY, FAILURE, REVOKED})
PROPAGATE_STATES = frozenset({FAILURE, REVOKED})
ALL_STATES = READY_STATES | UNREADY_STATES
