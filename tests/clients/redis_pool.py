"""Queues, scripts and transactions by redis-py, through a pool of one Redis server."""

import sys
import threading

import redis

for protocol in (2, 3):
    client = redis.Redis(port=int(sys.argv[1]), protocol=protocol, decode_responses=True)
    client.delete("jobs", "n", "seen")
    got = []
    def work():
        while (job := client.blpop("jobs", timeout=5)) and job[1] != "end":
            got.append(job[1])
    workers = [threading.Thread(target=work) for _ in range(4)]
    [worker.start() for worker in workers]
    for number in range(100):
        client.rpush("jobs", number)
    [client.rpush("jobs", "end") for _ in workers]
    [worker.join() for worker in workers]
    assert sorted(map(int, got)) == list(range(100)), got
    with client.pipeline(transaction=True) as pipe:
        pipe.set("n", 1).incr("n").hset("h", "f", "v").get("n")
        assert pipe.execute()[1::2] == [2, "2"]
    double = client.register_script("return redis.call('INCRBY', KEYS[1], redis.call('GET', KEYS[1]))")
    assert client.get("n") == "2" and double(keys=["n"]) == 4 and client.get("n") == "4"
    assert client.sort("none") == [] and client.zunionstore("zz", ["za", "zb"]) == 0
