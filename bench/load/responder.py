"""A trivial responder: a fixed answer to every read, no parsing. What the generator reaches against it is its ceiling."""

import select
import socket
import sys


def serve(port: int, body: int) -> None:
    """Answer `body` bytes on 127.0.0.1:port until killed."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % body + bytes(body)
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    poll = select.epoll()
    poll.register(listener.fileno(), select.EPOLLIN)
    sockets: dict[int, socket.socket] = {}
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                connection = listener.accept()[0]
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets[connection.fileno()] = connection
                poll.register(connection.fileno(), select.EPOLLIN)
            elif _closed(sockets[number], answer):
                poll.unregister(number)
                sockets.pop(number).close()


def _closed(connection: socket.socket, answer: bytes) -> bool:
    try:
        if not connection.recv(65536):
            return True
        connection.send(answer)
    except OSError:
        return True
    return False


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
