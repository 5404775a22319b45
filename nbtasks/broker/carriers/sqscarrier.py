"""Amazon SQS as a carrier, through botocore: a standard queue for each address; messages are deleted at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from nbtasks.broker.brokererrors import CarrierAway
from nbtasks.broker.unreachable import explain, plain
from nbtasks.broker.verbs.carrier import MOST_REFERENCES
from nbtasks.core.errors import ConfigError

from .carriername import carrier_name
from .sqsears import POLL_S, SqsEars
from .sqsurl import SqsUrl

T = TypeVar("T")

_CONNECT_S = 2.5
_ANSWER_S = 4.0
#: Messages that go in one request.
_MOST_AT_ONCE = 10
_LETTERS, _LONGEST = "A-Za-z0-9_-", 80
#: Seconds until a message that was taken goes to somebody else, for it is deleted a moment after it was taken; and
#: until one that nobody takes is dropped.
_ATTRIBUTES = {"VisibilityTimeout": "30", "MessageRetentionPeriod": "86400"}
_NO_QUEUE = ("QueueDoesNotExist", "NonExistentQueue")
#: What SQS says of who may not, or is not who it says, as it begins or ends.
_REFUSED = ("AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClient", "InvalidSecurity",
            "InvalidAccessKeyId", "MissingAuthentication", "OptInRequired", "AuthFailure")  # fmt: skip


class SqsCarrier:
    """A client of SQS, and one that polls where it is waited.

    Args:
        namespace: whatever is kept there belongs to it.
    """

    #: It counts with a delay of up to a minute.
    is_exact = False

    def __init__(self, url: SqsUrl, namespace: str) -> None:
        self._url = url
        self._namespace = namespace
        self._client: Any = None
        self._polling: Any = None
        self._ears: SqsEars | None = None
        #: Address -> URL of its queue, of those that are known to be there.
        self._queues: dict[str, str] = {}

    # -- verbs

    def check(self) -> None:
        """See that the carrier is there and lets us in."""
        prefix = f"{self._url.prefix}nbtasks-{self._namespace}"[:_LONGEST]
        self._guarded(lambda: self._asked().list_queues(QueueNamePrefix=_named(prefix), MaxResults=1))

    def put(self, numbers: Mapping[str, int]) -> None:
        """Put references; each request says of which it has them."""
        for address, number in numbers.items():
            left = min(number, MOST_REFERENCES)
            while left > 0:
                self._put(address, min(left, _MOST_AT_ONCE))
                left -= _MOST_AT_ONCE

    def _put(self, address: str, number: int) -> None:
        entries = [{"Id": str(n), "MessageBody": address} for n in range(number)]
        answer = self._on_queue(
            address, lambda queue: self._asked().send_message_batch(QueueUrl=queue, Entries=entries)
        )
        if failed := answer.get("Failed"):
            raise self._away(OSError(f"it did not take what was put there ({failed[0].get('Code', '')})"))

    def take(self, addresses: Sequence[str], within_s: float) -> str | None:
        """Wait for a reference to one of these addresses, and return which; None where none came in time."""

        def take() -> str | None:
            ears = self._ears
            if ears is None:
                self._polling = self._polling or self._made(POLL_S + _ANSWER_S)
                self._ears = ears = SqsEars(self._receive, self._give_back)
            brought = ears.wait(addresses, within_s)
            return brought[0] if brought else None

        return self._guarded(take)

    def settle(self, served: bool, back: bool = False) -> None:
        """Be rid of the reference that was taken."""
        brought = self._ears.settled(served) if self._ears else None
        if brought is None:
            return
        address, handle = brought
        if back:
            self._guarded(lambda: self._give_back(address, handle))
        else:
            self._on_queue(
                address, lambda queue: self._asked().delete_message(QueueUrl=queue, ReceiptHandle=handle)
            )

    def length(self, address: str) -> int:
        """Return how many references to an address wait there, as SQS reckons."""
        wanted = "ApproximateNumberOfMessages"
        answer = self._on_queue(
            address,
            lambda queue: self._asked().get_queue_attributes(QueueUrl=queue, AttributeNames=[wanted]),
        )
        return int(answer["Attributes"][wanted])

    # -- the clients

    def close(self) -> None:
        """End the polls; what is done next begins new ones."""
        ears, self._ears = self._ears, None
        if ears is not None:
            ears.end()
        self._client = self._polling = None
        self._queues.clear()

    def drop(self) -> None:
        """End the polls, as :meth:`close` does."""
        self.close()

    def abort(self) -> None:
        """End the polls; no request of another thread takes longer than some seconds."""
        ears, self._ears = self._ears, None
        if ears is not None:
            ears.end()

    def forsake(self) -> None:
        """Let go of the clients in a process that was forked off, which has none of their threads."""
        self._ears = self._client = self._polling = None
        self._queues = {}

    def _asked(self) -> Any:
        if self._client is None:
            self._client = self._made(_ANSWER_S)
        return self._client

    def _made(self, answer_s: float) -> Any:
        session = _session()
        # 0 times again: whoever asks has something else to do meanwhile.
        config = Config(
            connect_timeout=_CONNECT_S, read_timeout=answer_s, retries={"max_attempts": 0}, max_pool_connections=50
        )  # fmt: skip
        region = self._url.region or session.get_config_variable("region") or self._url.last_region
        return session.create_client(
            "sqs", region_name=region, endpoint_url=self._url.endpoint or None, config=config,
            aws_access_key_id=self._url.key or None, aws_secret_access_key=self._url.secret or None,
        )  # fmt: skip

    def _guarded(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise ConfigError(
                f"nothing says with which key the carrier at {self._url.shown} is asked ({plain(error)}): write "
                "sqs://key:secret@, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None
        except ClientError as error:
            code = _code(error)
            if any(sign in code for sign in _REFUSED):
                raise ConfigError(
                    f"the carrier at {self._url.shown} does not let us in, or refuses what is needed: {plain(error)}; "
                    f"check key and secret, and that they may use queues {self._url.prefix}nbtasks-*"
                ) from None
            raise self._away(error) from error
        except (BotoCoreError, OSError) as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> CarrierAway:
        reason, step = explain(error, self._url.shown)
        return CarrierAway(f"the carrier at {self._url.shown} cannot be reached ({reason}); {step}")

    # -- queues

    def _on_queue(self, address: str, action: Callable[[str], T]) -> T:
        """Do something with a queue, which is made anew where somebody has removed it."""

        def twice() -> T:
            try:
                return action(self._queue(address))
            except ClientError as error:
                if not any(sign in _code(error) for sign in _NO_QUEUE):
                    raise
                self._queues.pop(address, None)
                return action(self._queue(address))

        return self._guarded(twice)

    def _queue(self, address: str) -> str:
        found = self._queues.get(address)
        if found is None:
            found = self._queues[address] = self._declared(
                carrier_name(self._namespace, address, _LETTERS, _LONGEST, self._url.prefix)
            )
        return found

    def _declared(self, name: str) -> str:
        client = self._asked()
        try:
            return str(client.get_queue_url(QueueName=name)["QueueUrl"])
        except ClientError as error:
            if not any(sign in _code(error) for sign in _NO_QUEUE):
                raise
        return str(client.create_queue(QueueName=name, Attributes=_ATTRIBUTES)["QueueUrl"])

    # -- on the threads that poll

    def _receive(self, address: str, seconds: int) -> str | None:
        polling = self._polling
        answer = self._on_queue(
            address,
            lambda queue: polling.receive_message(
                QueueUrl=queue, MaxNumberOfMessages=1, WaitTimeSeconds=seconds
            ),
        )
        messages = answer.get("Messages") or ()
        return str(messages[0]["ReceiptHandle"]) if messages else None

    def _give_back(self, address: str, handle: str) -> None:
        self._on_queue(
            address,
            lambda queue: self._asked().change_message_visibility(
                QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0
            ),
        )


@cache
def _session() -> Any:
    """Return what knows of regions and keys, which takes long to make."""
    return botocore.session.Session()


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _named(text: str) -> str:
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in text
    )
