"""What this machine refuses: too few files, processes, room, locks. Said in a sentence, with the next step."""

from __future__ import annotations

import errno
import os
import re

#: Open files that a notebook with some workers needs.
ENOUGH_FILES = 256
#: A disk with less than this is full.
FULL_BYTES = 2**20
_ANOTHER_FOLDER = "set NBTASKS_HOME to a folder on a local disk that you may write to"
_ROOM = "the disk is full: make room, or set NBTASKS_HOME to a folder elsewhere"
_ADVICE = {
    errno.EAGAIN: (
        "no more processes and threads may be started: raise the limit (ulimit -u; pids of a container), or end some"
    ),
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: f"the file system is read-only: {_ANOTHER_FOLDER}",
    errno.ENOMEM: "this machine, or this container, has no memory left: end what needs it",
    errno.EACCES: _ANOTHER_FOLDER,
    errno.EPERM: _ANOTHER_FOLDER,
}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}
#: What the server's log says when it cannot read its data.
_BAD_DATA = re.compile(
    r"bad file format|unexpected end of file|error reading|can't open|wrong signature|manifest|short read|"
    r"unrecoverable error|checksum",
    re.IGNORECASE,
)
#: Words in its log -> errno.
_IN_LOG = (
    ("ulimit -n", errno.EMFILE),
    ("too many open files", errno.EMFILE),
    ("no space left", errno.ENOSPC),
    ("disk quota exceeded", errno.EDQUOT),
    ("read-only file system", errno.EROFS),
    ("resource temporarily unavailable", errno.EAGAIN),
    ("cannot allocate memory", errno.ENOMEM),
)


def explain(error: OSError) -> str:
    """Return what is wrong and what to do about it, in a sentence."""
    where = f" ({os.fsdecode(error.filename)})" if error.filename else ""
    return _sentence(error.errno or 0, f"{error.strerror or error}{where}")


def explain_lock(number: int, path: str) -> str:
    """Return the same where a file could not be locked."""
    if number in _NO_LOCKS:
        return f"the file system of {path} has no locks (flock: {os.strerror(number)}): {_ANOTHER_FOLDER}"
    return _sentence(number, f"{os.strerror(number)} ({path})")


def explain_log(log: str, folder: str) -> str | None:
    """Return why a server has not started, from the end of its log; None where that does not say."""
    if is_full(folder):
        return _sentence(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({folder})")
    text = log.lower()
    for words, number in _IN_LOG:
        if words in text:
            return _sentence(number, f"{os.strerror(number)} ({folder})")
    return None


def explain_any(error: OSError | RuntimeError) -> str:
    """Return the same of what may come where threads and processes are started."""
    if isinstance(error, OSError):
        return explain(error)
    return _sentence(errno.EAGAIN, str(error)) if "start new thread" in str(error) else str(error)


def is_bad_data(log: str) -> bool:
    """Whether a server's log says that it cannot read its data."""
    return _BAD_DATA.search(log) is not None


def is_full(folder: str) -> bool:
    """Whether there is no room on the disk of a folder."""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return False
    return facts.f_bavail * facts.f_frsize < FULL_BYTES


def _sentence(number: int, what: str) -> str:
    if number in {errno.EMFILE, errno.ENFILE}:
        return f"too many files are open: {_files()}"
    advice = _ADVICE.get(number)
    return what if advice is None else f"{advice}; {what}"


def _files() -> str:
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return f"this process may have {limit}; raise that to {ENOUGH_FILES} or more (ulimit -n {ENOUGH_FILES})"
