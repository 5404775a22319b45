"""The keeper: runs one embedded server and keeps it as long as somebody uses it.

Started as a process of its own, with the standard library only and no site packages, so
that it is up in a few milliseconds. It forks away from the process that started it and lives in a session of
its own: signals to a notebook kernel's process group reach neither it nor the server.

A user holds a connection to the keeper's socket. Lines of text go over it:

    user -> keeper   hello <pid>     the user is there and waits for the server
                     bye             the user goes on purpose
                     listen <host> <port>   other machines shall reach the server, too (tlsproxy.py)
                     listening?      where do they?
                     deaf            they shall not, any more
    keeper -> user   ready <keeper pid> <server pid>
                     loading         the server still reads its data, "ready" follows
                     failed          the rest, up to the end of the stream, says why
                     cannot <errno> <what>   this machine refuses something: a lock, a process, room
                     listening <host> <port>   answers all three of the questions, as does
                     deaf <reason>

The first user's connection is one half of a socket pair, inherited as descriptor 0.

The last ``bye`` stops the server and the keeper at once. A connection that ends without ``bye`` (a killed
kernel) leaves both for the linger time. The end of the stream tells the last user that everything is down and
written.

Two files are locked with flock, so a crash leaves nothing stale: ``keeper.lock`` by the keeper,
``server.lock`` by the server process itself, which inherits the descriptor. ``keeper.lock`` holds the
keeper's pid, also the number of the session and process group of its processes: keeper, guard, server.

Nothing here imports anything of nbtasks outside this folder.
"""
