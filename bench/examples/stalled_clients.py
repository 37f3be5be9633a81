#!/usr/bin/env python3
"""What clients take of a server's memory that begin a request and do not end it; in MiB, beside what it had before.

    ringfort --shards 1 --memory 64MiB &
    bench/examples/stalled_clients.py --pid $! --port 11211 --protocol memcache
"""

import argparse
import socket
import time

PARTIAL_BYTES = 900_000
VALUE_BYTES = 1_048_000
ARGUMENT = b"$10\r\n0123456789\r\n"
ARGUMENTS_BYTES = 10 << 20
SETTLING_SECONDS = 3


def memory_mib(pid: int) -> float:
    """Memory of a process that no file backs."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1024


def beginning(protocol: str, with_arguments: bool, number: int) -> bytes:
    """All that a client sends."""
    if with_arguments:
        return b"*1000000\r\n$4\r\nMGET\r\n" + ARGUMENT * (ARGUMENTS_BYTES // len(ARGUMENT))
    key = b"key%05d" % number
    if protocol == "memcache":
        head = b"set %s 0 0 %d\r\n" % (key, VALUE_BYTES)
    else:
        head = b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n" % (len(key), key, VALUE_BYTES)
    return head + b"x" * PARTIAL_BYTES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pid", type=int, required=True, help="the server's process")
    parser.add_argument("--port", type=int, required=True, help="its port on 127.0.0.1")
    parser.add_argument("--protocol", choices=("memcache", "resp"), required=True)
    parser.add_argument("--clients", type=int, default=100, help="how many of them [default: 100]")
    parser.add_argument("--arguments", action="store_true",
                        help="10 MiB of short arguments instead of most of a value; RESP only")
    args = parser.parse_args()
    if args.arguments and args.protocol != "resp":
        parser.error("--arguments is for --protocol resp")
    before = memory_mib(args.pid)
    clients = [socket.create_connection(("127.0.0.1", args.port)) for _ in range(args.clients)]
    for number, client in enumerate(clients):
        client.sendall(beginning(args.protocol, args.arguments, number))
    time.sleep(SETTLING_SECONDS)
    stalled = memory_mib(args.pid)
    for client in clients:
        client.close()
    time.sleep(SETTLING_SECONDS)
    print(f"{stalled - before:.0f} MiB more, {memory_mib(args.pid) - before:.0f} after they closed")


if __name__ == "__main__":
    main()
