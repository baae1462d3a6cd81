"""Lets Ctrl-C and SIGTERM end a query at once."""

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator

import duckdb

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Within it, SIGINT and SIGTERM interrupt the query that a duckdb connection runs.

    duckdb looks for signals between the tasks that the main thread works on, but not while that thread waits for
    another one, which may run the rest of the query as one task. Python writes the number of a signal to a socket
    the moment it arrives; a thread reads it there. Outside the main thread, which alone receives signals, nothing is
    changed.

    Args:
        connection: `duckdb.DuckDBPyConnection`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        watcher = threading.Thread(target=_watch, args=(reader, connection), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            writer.close()
            watcher.join()


def _watch(reader: socket.socket, connection: duckdb.DuckDBPyConnection) -> None:
    with contextlib.suppress(OSError):  # a second signal may close the sockets before the thread has seen their end
        while number := reader.recv(1):
            if number[0] in SIGNALS:
                connection.interrupt()
