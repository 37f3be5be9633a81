#!/usr/bin/env python3
"""A server whose delay follows from a flag, started as ringfort is: what `ringfort-bench tune` is tested with.

It takes ringfort's flags for listeners, says that it is ready as ringfort does, and answers SET at once, GET with a miss
after --delay-ms. --idle changes nothing, --broken ends it with a complaint.
"""

import argparse
import os
import socketserver
import sys
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--memcache")
    parser.add_argument("--resp")
    parser.add_argument("--delay-ms", type=float, default=20)
    parser.add_argument("--idle")
    parser.add_argument("--pid-file", help="where each start writes its pid")
    parser.add_argument("--broken", action="store_true")
    options = parser.parse_args()
    if options.broken:
        sys.exit("fake: cannot be broken any further")
    if options.pid_file:
        with open(options.pid_file, "a") as file:
            print(os.getpid(), file=file, flush=True)
    serve(options.resp, options.delay_ms / 1000)


def serve(address, delay_s):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            # Few and short requests, each batch sent at once: what arrives is whole.
            while requests := self.request.recv(65536):
                self.request.sendall(b"+OK\r\n" * requests.count(b"\r\nSET\r\n"))
                for _ in range(requests.count(b"\r\nGET\r\n")):
                    time.sleep(delay_s)
                    self.request.sendall(b"$-1\r\n")

    host, port = address.rsplit(":", 1)
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer((host, int(port)), Handler) as server:
        print(f"fake ready: resp {host}:{server.server_address[1]}, 1 shard", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
