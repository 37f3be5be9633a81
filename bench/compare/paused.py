"""What the clients of one backend feel while another one hangs.

The measured clients ask for keys of one backend, the others for keys of another one, which in the load
`paused` is stopped. The others behave like a client library with a deadline: who has waited for a second
closes the connection and opens another.
"""

import contextlib
import itertools
import os
import selectors
import signal
import string
import threading
import time

from . import Failed
from . import measure as measuring
from .servers import start
from .wire import ask, connect

OTHERS = 8  # connections that ask for the other backend's keys
BATCH = 16  # requests that each of them sends at once
BATCH_SECONDS = 0.02
PATIENCE_SECONDS = 1


def measure(options, scenario, name, point, programs, scratch):
    protocol = point.protocol
    with contextlib.ExitStack() as running:
        server = start(running, name, point, scenario, programs, scratch)
        # Where keys of a tag are is asked of the backends, so no proxy is taken at its word.
        (_, ours), (other_pid, theirs) = tags_of_two_backends(protocol, server)
        running.enter_context(Others(server.address, request(protocol, f"{theirs}000000000000")))
        if point.load.name == "paused":
            os.kill(other_pid, signal.SIGSTOP)
            running.callback(os.kill, other_pid, signal.SIGCONT)
        more = ("--key-prefix", ours)
        return measuring.generate(options, scenario, name, point, server, programs, scratch, more)


def tags_of_two_backends(protocol, server):
    """(pid, hash tag) of two backends: keys with that tag are there and nowhere else."""
    found = {}
    for letters in itertools.product(string.ascii_lowercase, repeat=2):
        tag = f"{{{''.join(letters)}}}"
        key = f"{tag}probe"
        ask(server.address, store(protocol, key))
        for port, pid in server.backends:
            if pid not in found and b"probed" in ask(f"127.0.0.1:{port}", request(protocol, key)):
                found[pid] = tag
        if len(found) >= 2:
            first, second, *_ = found.items()
            return first, second
    raise Failed("all hash tags lead to one backend")


def request(protocol, key):
    if protocol == "memcache":
        return f"get {key}\r\n".encode()
    return f"*2\r\n$3\r\nGET\r\n${len(key)}\r\n{key}\r\n".encode()


def store(protocol, key):
    if protocol == "memcache":
        return f"set {key} 0 0 6\r\nprobed\r\n".encode()
    return f"*3\r\n$3\r\nSET\r\n${len(key)}\r\n{key}\r\n$6\r\nprobed\r\n".encode()


class Others:
    """Clients that ask for what may not be answered, in a thread of their own."""

    def __init__(self, address, wire):
        self.address, self.wire = address, wire * BATCH
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def run(self):
        conns = {}  # connection: when it was last answered
        with selectors.DefaultSelector() as selector:
            while not self.is_over.wait(BATCH_SECONDS):
                for key, _ in selector.select(0):
                    with contextlib.suppress(OSError):
                        if key.fileobj.recv(1 << 20):
                            conns[key.fileobj] = time.monotonic()
                for conn, answered in list(conns.items()):
                    if time.monotonic() - answered > PATIENCE_SECONDS or not self.sends(conn):
                        selector.unregister(conn)
                        conn.close()
                        del conns[conn]
                while len(conns) < OTHERS:
                    conn = connect(self.address)
                    conn.setblocking(False)
                    selector.register(conn, selectors.EVENT_READ)
                    conns[conn] = time.monotonic()
            for conn in conns:
                conn.close()

    def sends(self, conn):
        try:
            conn.send(self.wire)
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True
