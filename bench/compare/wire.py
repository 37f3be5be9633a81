"""A few words with a server, by hand."""

import socket

PATIENCE_SECONDS = 5

# What every server and every proxy answers.
QUESTIONS = {"memcache": b"get none\r\n", "resp": b"*2\r\n$3\r\nGET\r\n$4\r\nnone\r\n"}


def connect(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), PATIENCE_SECONDS)


def ask(address, wire, end=b""):
    """The reply, until it ends so; without that, its first piece."""
    said = b""
    with connect(address) as conn:
        conn.sendall(wire)
        while piece := conn.recv(4096):
            said += piece
            if said.endswith(end):
                break
    return said
