"""Processes: started on a core, waited for until they answer, ended by their pid."""

import contextlib
import socket
import subprocess
import time

from . import Failed

START_SECONDS_MAX = 60  # a server that does not answer by then has failed
STOP_SECONDS_MAX = 5  # a server that has not ended by then is killed


def spawn(running, command, core, port, scratch, question=None):
    """Starts a server on a core, ends it with `running`, returns its pid once it listens, and answers the question."""
    command = [str(word) for word in ["taskset", "-c", core, *command]]
    log_path = scratch / "server.log"
    with log_path.open("w") as log:
        # taskset becomes the server, so the pid is the server's.
        child = subprocess.Popen(command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running.callback(stop, child)
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if child.poll() is not None:
            said = log_path.read_text().strip().splitlines() or ["it says nothing"]
            raise Failed(f"{command[3]} ended at once: {said[0]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as conn:
            # The kernel takes connections before a server has touched all of its memory.
            if question is None or conn.sendall(question) or conn.recv(1):
                return child.pid
        time.sleep(0.02)
    raise Failed(f"{command[3]} does not answer on port {port}")


def stop(child):
    child.terminate()
    try:
        child.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
