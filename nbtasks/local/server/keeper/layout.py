"""What lies in the folder of an embedded server, and beside it."""

from __future__ import annotations

KEEPER_LOCK = "keeper.lock"
KEEPER_SOCKET = "keeper.sock"
SERVER_LOCK = "server.lock"
SERVER_SOCKET = "server.sock"
SERVER_LOG = "server.log"
KEEPER_LOG = "keeper.log"
DATA_FOLDER = "data"
LISTEN_FOLDER = "listen"
#: Large values that are not in the server, beside its data; and in memory, where there is such a folder.
VALUES_FOLDER = "values"
#: In the folder in memory, a link to that of the data.
HOME_LINK = "home"
MEMORY = "/dev/shm"  # noqa: S108 - what is in it is ours alone, and looked at before it is used
#: A SQLite file in the place of a server.
BROKER_FILE = "broker.db"
