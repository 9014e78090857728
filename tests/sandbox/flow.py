"""Flow Manager's event socket for FreeSWITCH: says `connect` and holds the connection, as the real one does."""

import contextlib
import socket
import threading


class Flow:
    """A listener; `close` ends it with every connection, `drop` the connections only."""

    def __init__(self, address: tuple[str, int], greeting: bytes = b"connect\n\n") -> None:
        self.greeting = greeting
        self.listener = socket.create_server(address)
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                connection.sendall(self.greeting)

    def drop(self) -> None:
        """Flow Manager dies in the middle of calls."""
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def close(self) -> None:
        """Nobody listens any more."""
        # A thread in accept() holds the socket: shutting it down wakes that.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop()
