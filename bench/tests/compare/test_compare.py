"""Everything of scripts/compare but the measuring itself: no server is started, no generator run."""

import os
import subprocess
import sys
import tempfile
import tomllib
import unittest
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "bench"))

from compare import Failed, capacity, doubts, measure, peers, report, scenario, servers  # noqa: E402
from compare.launch import Launch, Peering, Programs  # noqa: E402

OPTIONS = SimpleNamespace(rounds=2, seconds=1)
HITS = {"about": "x", "servers": ["floor", "ringfort", "memcached", "redis"], "depths": [1, 16],
        "loads": {"get": {"read_ratio": 1.0}}}


def row(server, cpu_ns, rate=1000.0, **others):
    """As the generator reports."""
    return {"requests_per_s": rate, "server_cpu_ns_per_request": cpu_ns, "p50_us": 10, "p99_us": 20, "p999_us": 30,
            "max_us": 40, "server_waiting": 0.0, "generator_waiting": 0.0, "warnings": [], "scenario": "hits",
            "round": 1, "protocol": "memcache", "load": "get", "depth": 1, "connections": 50, "keys": 1000,
            "value_bytes": 64, "rate": "", "server": server, "ratio_to_floor": "", **others}


class Scenarios(unittest.TestCase):
    def test_every_file_can_be_read_and_has_points(self):
        for name in scenario.names():
            with self.subTest(name=name):
                one = scenario.read(name)
                self.assertTrue(one.about and one.points())
                places = [point.place for point in one.points()]
                self.assertEqual(len(places), len(set(places)))
        self.assertEqual(scenario.names()[:2], ["hits", "pool"])

    def test_axes_are_multiplied(self):
        one = scenario.of_table("hits", {**HITS, "value_bytes": [16, 64], "keys": [10]})
        places = [point.place for point in one.points()]
        self.assertEqual(len(places), 2 * 2 * 2, "protocols, depths, values")
        self.assertEqual(places[0], ("memcache", "get", 1, 50, 10, 16))
        self.assertEqual({place[0] for place in places[:4]}, {"memcache"}, "one protocol after the other")

    def test_a_load_may_have_keys_of_its_own(self):
        loads = {"few": {"read_ratio": 1.0, "keys": 7}, "usual": {"read_ratio": 1.0}}
        one = scenario.of_table("fills", {**HITS, "depths": [1], "loads": loads, "servers": ["groupcache"]})
        self.assertEqual([(point.load.name, point.keys) for point in one.points()], [("few", 7), ("usual", 1000)])

    def test_a_protocol_that_nobody_speaks_is_left_out(self):
        one = scenario.of_table("hits", HITS).only(lambda name: name in ("floor", "redis"))
        self.assertEqual({point.protocol for point in one.points()}, {"resp"})

    def test_mistakes_are_named(self):
        for change, said in (({"speed": 9}, "speed"), ({"servers": ["mysql"]}, "mysql")):
            with self.assertRaisesRegex(Failed, said):
                scenario.of_table("hits", {**HITS, **change})
        with self.assertRaisesRegex(Failed, "no scenario is called none"):
            scenario.read("none")

    def test_more_threads_get_more_cores(self):
        one = scenario.of_table("shards", {**HITS, "shards": 2})
        self.assertEqual(one.server_cores, (0, 1))
        with mock.patch("os.sched_getaffinity", return_value={0, 1, 2, 3}):
            self.assertEqual(one.generator_core, 2)
        with mock.patch("os.sched_getaffinity", return_value={0, 1}):
            self.assertEqual(one.generator_core, 1)
            self.assertIn("shares core 1", doubts.doubts([one], [], {})[0])
            self.assertEqual(scenario.of_table("hits", HITS).generator_core, 1)


class Servers(unittest.TestCase):
    def launch(self, scratch, protocol, **others):
        given = {name: f"/opt/{name}" for name in servers.GIVEN}
        return Launch(Programs(Path("/ours"), given), protocol, 7000, Path(scratch), (7001, 7002),
                      peering=Peering(7003, "http://127.0.0.1:7004", ("http://127.0.0.1:7005",)), **others)

    def test_every_server_has_a_command_line_with_its_port(self):
        self.assertEqual(set(servers.COMMANDS) | {"floor"}, set(servers.SERVERS))
        with tempfile.TemporaryDirectory() as scratch:
            for name, command in servers.COMMANDS.items():
                for protocol in servers.SERVERS[name]:
                    with self.subTest(name=name, protocol=protocol):
                        words = [str(word) for word in command(self.launch(scratch, protocol))]
                        files = [path.read_text() for path in Path(scratch).iterdir() if path.is_file()]
                        self.assertIn("7000", " ".join(words + files))
                        for path in Path(scratch).iterdir():
                            path.rmdir() if path.is_dir() else path.unlink()

    def test_the_floor_is_left_out_where_replies_are_too_long(self):
        raw = {**HITS, "value_bytes": [1024, 65536], "loads": {"get": {"read_ratio": 1.0}, "set": {"read_ratio": 0.0}}}
        told = {(point.load.name, point.value_bytes): servers.can_measure("floor", point)
                for point in scenario.of_table("values", raw).points()}
        self.assertEqual(told, {("get", 1024): True, ("get", 65536): False, ("set", 1024): True, ("set", 65536): True})

    def test_a_server_is_started_as_the_scenario_has_it(self):
        raw = {**HITS, "memory_mib": 512, "keys": [10_000_000], "servers": ["ringfort", "crucible"]}
        one = scenario.of_table("keys", raw)
        programs = Programs(Path("/ours"), {"crucible": "/opt/crucible"})
        with tempfile.TemporaryDirectory() as scratch, mock.patch.object(servers, "spawn", return_value=7) as spawn:
            for name in one.servers:
                servers.start(None, name, one.points()[0], one, programs, Path(scratch))
            said = " ".join(map(str, spawn.call_args_list[0].args[1]))
            config = tomllib.loads((Path(scratch) / "crucible.toml").read_text())
        self.assertIn("--memory 512MiB --item-size-max 2048KiB", said)
        self.assertGreater(2 ** config["cache"]["hashtable_power"], 10_000_000)

    def test_threads_and_memory_are_what_the_scenario_says(self):
        with tempfile.TemporaryDirectory() as scratch:
            two = self.launch(scratch, "memcache", cores=(0, 1), memory_mib=1024, keys=10_000_000)
            crucible = servers.COMMANDS["crucible"](two)[1]
            config = tomllib.loads(crucible.read_text())
            self.assertEqual(config["workers"], {"threads": 2, "cpu_affinity": "0,1"})
            self.assertEqual(config["cache"]["heap_size"], "1024MB")
            self.assertGreater(2 ** config["cache"]["hashtable_power"], 10_000_000)
            for name, words in (("memcached", ("-t 2", "-m 1024")), ("valkey", ("--io-threads 2",)),
                                ("dragonfly", ("--proactor_threads 2", "--maxmemory 1024mb")),
                                ("ringfort", ("--cores 0,1", "--memory 1024MiB"))):
                said = " ".join(map(str, servers.COMMANDS[name](two)))
                for word in words:
                    self.assertIn(word, said)

    def test_peers_are_told_of_the_owners_and_the_origin(self):
        with tempfile.TemporaryDirectory() as scratch:
            launch = self.launch(scratch, "memcache", memory_mib=32)
            words = [str(word) for word in servers.COMMANDS["ringfort-hot-sketch"](launch)]
            told = dict(zip(words, words[1:]))
            self.assertEqual(Path(told["--peers"]).read_text(), "http://127.0.0.1:7005")
            self.assertEqual((told["--self"], told["--hot"]), ("http://127.0.0.1:7004", "sketch"))
            self.assertEqual(told["--origin"], "http://127.0.0.1:7003/{key}")
            # Both keep as much: of ringfort's memory 8 MiB are no cache.
            for keeps, kept_mib in ((True, 24), (False, 0)):
                peering = replace(launch.peering, keeps=keeps)
                words = [str(word) for word in servers.COMMANDS["groupcache"](replace(launch, peering=peering))]
                self.assertEqual(dict(zip(words, words[1:]))["-cache-bytes"], str(kept_mib * 1024 * 1024))

    def test_another_build_may_stand_for_debians(self):
        programs = Programs(Path("/ours"), {"memcached": "/opt/new/memcached"})
        launch = Launch(programs, "memcache", 7000, Path("/nowhere"))
        self.assertEqual(servers.COMMANDS["memcached"](launch)[0], "/opt/new/memcached")
        self.assertEqual(servers.COMMANDS["redis"](launch)[0], "redis-server")
        with mock.patch("shutil.which", return_value=None):
            lines = servers.missing({"memcached", "redis"}, {"memcached": "/opt/new/memcached"})
        self.assertEqual([line.split()[0] for line in lines], ["redis-server", "taskset"])


class Rounds(unittest.TestCase):
    def round_of(self, raw, rates):
        """What is asked of whom, where each server's rate is known beforehand."""
        asked, failures = [], []

        def one(_options, _scenario, name, point, _programs, _scratch):
            asked.append((name, point.rate))
            if name not in rates:
                raise Failed("it does not start")
            return row(name, 500, rate=rates[name])

        with mock.patch.object(measure, "measure", one), mock.patch("builtins.print"):
            rows = list(measure.round_of(OPTIONS, scenario.of_table("rate", raw), None, None, failures))
        return rows, asked, failures

    def test_an_open_loop_goes_by_the_best_rival(self):
        raw = {**HITS, "servers": ["floor", "ringfort", "redis", "valkey"], "depths": [1], "open_share": 0.7}
        rates = {"floor": 9e6, "ringfort": 5e6, "redis": 1e6, "valkey": 2e6}
        rows, asked, failures = self.round_of(raw, rates)
        self.assertEqual(failures, [])
        # memcache is spoken by the floor and ringfort alone here: without a rival there is nothing to go by.
        everybody = ["floor", "ringfort", "redis", "valkey"]
        self.assertEqual([name for name, _ in asked], ["floor", "ringfort", *everybody, *everybody])
        self.assertEqual({rate for _, rate in asked[:6]}, {None})
        self.assertEqual({rate for _, rate in asked[6:]}, {1_400_000})
        self.assertEqual({one["load"] for one in rows[6:]}, {"get@rate"})
        self.assertEqual(rows[6]["rate"], 1_400_000)

    def test_without_a_rival_it_is_told(self):
        raw = {**HITS, "servers": ["floor", "ringfort", "redis"], "depths": [1], "open_share": 0.7}
        rows, asked, failures = self.round_of(raw, {"floor": 9e6, "ringfort": 5e6})
        self.assertEqual([one["protocol"] for one in rows], ["memcache"] * 2 + ["resp"] * 2)
        self.assertEqual(len(failures), 2)
        self.assertIn("redis resp get depth 1, 50 connections, 1000 keys, 64 bytes: it does not start", failures[0])
        self.assertIn("no rival's rate is known", failures[1])

    def test_the_floor_is_taken_in_the_same_round(self):
        rows, _, _ = self.round_of({**HITS, "depths": [1]}, {"floor": 1, "ringfort": 1, "redis": 1, "memcached": 1})
        self.assertEqual({one["ratio_to_floor"] for one in rows}, {1.0})


class Reports(unittest.TestCase):
    def summary(self, rows, raw=HITS, failures=()):
        return report.summarise(OPTIONS, [scenario.of_table("hits", raw)], [], rows, list(failures))

    def test_medians_have_their_spread_and_their_ratios(self):
        rows = [row("floor", 100, ratio_to_floor=1.0), row("ringfort", 110, ratio_to_floor=1.1),
                row("memcached", 220, ratio_to_floor=2.2),
                row("floor", 100, round=2, ratio_to_floor=1.0), row("ringfort", 130, round=2, ratio_to_floor=1.3),
                row("memcached", 130, round=2, ratio_to_floor=1.3)]
        said, _ = self.summary(rows)
        self.assertIn("| 1 | ringfort | 1,000 | 120 [110–130] | 1.20 | 0.75 | 10 | 20 | 30 |", said)
        self.assertIn("| 1 | floor | 1,000 | 100 | 1.00 | 0.61 |", said)
        self.assertIn("50 connections, 1000 keys, 64 bytes a value, one thread for each server, 256 MiB.", said)

    def test_only_what_differs_has_a_column(self):
        raw = {**HITS, "value_bytes": [16, 64]}
        said, _ = self.summary([row("ringfort", 1, value_bytes=16), row("ringfort", 2)], raw)
        self.assertIn("| depth | value bytes | server |", said)
        self.assertIn("| 1 | 16 | ringfort |", said)
        self.assertIn("50 connections, 1000 keys, one thread", said)

    def test_doubts_are_told_once_for_each_server(self):
        warned = [row("redis", 100, depth=depth, warnings=[f"used {depth + 90} % of its core"]) for depth in (6, 7)]
        disturbed = row("ringfort", 100, server_waiting=0.25)
        said, _ = self.summary([*warned, disturbed, row("ringfort", 120, round=2, server_waiting=0.05)])
        self.assertIn("* hits redis, 2 times, first: used 96 % of its core", said)
        self.assertIn("* hits ringfort: something else had the server's core for 25% of the time", said)
        self.assertIn("* hits ringfort: CPU per request of get differs by 18% between rounds", said)

    def test_what_only_some_scenarios_know_has_a_column_there(self):
        said, _ = self.summary([row("ringfort", 1, origin_per_1000=201.36), row("ringfort", 2, depth=16)])
        self.assertIn("| × best rival | asked of the origin | p50 µs |", said)
        self.assertIn("| 1 | ringfort | 1,000 | 1 |  |  | 201.4 | 10 |", said)
        self.assertIn("| 16 | ringfort | 1,000 | 2 |  |  |  | 10 |", said)
        self.assertNotIn("joined", said)

    def test_a_group_is_judged_by_the_cache_without_one(self):
        raw = {**HITS, "servers": ["ringfort", "ringfort-group"]}
        for group_ns, verdict in ((104, "PASS"), (106, "FAIL")):
            rows = [row("ringfort", 100, scenario="group"), row("ringfort-group", group_ns, scenario="group")]
            said, _ = report.summarise(OPTIONS, [scenario.of_table("group", raw)], [], rows, [])
            self.assertIn(f"* {verdict}: memcache GET hit of a group, depth 1: within 1.05 of one without", said)

    def test_two_shards_are_judged_by_one(self):
        tables = [scenario.of_table(name, HITS) for name in ("hits", "shards")]
        for two_ns, verdict in ((129, "PASS"), (131, "FAIL")):
            rows = [row("ringfort", cpu, scenario=name, load="set") for name, cpu in (("hits", 100), ("shards", two_ns))]
            said, _ = report.summarise(OPTIONS, tables, [], rows, [])
            self.assertIn(f"* {verdict}: memcache SET with two shards, depth 1: within 1.30 of one's", said)
            self.assertIn("* SKIP: memcache GET with two shards, depth 1: within 1.05 of one's", said)

    def test_targets_are_judged_where_both_sides_are_known(self):
        rows = [row(name, cpu, depth=depth, ratio_to_floor=cpu / 100)
                for depth in (1, 16, 64) for name, cpu in (("floor", 100), ("ringfort", 105))]
        said, is_met = self.summary(rows)
        self.assertTrue(is_met)
        self.assertIn("* PASS: memcache GET hit, depth 1: within 1.10 of the floor (1.05, bound 1.10)", said)
        self.assertIn("* SKIP: memcache GET hit, depth 16: cheaper than redis-server's", said)
        said, is_met = self.summary([row("floor", 100), row("ringfort", 150, ratio_to_floor=1.5)])
        self.assertFalse(is_met)

    def test_the_tail_is_judged_by_the_best_rival(self):
        raw = {**HITS, "open_share": 0.7, "servers": ["ringfort", "memcached", "crucible"]}
        rows = [row(name, 1, scenario="rate", load="get@rate", p999_us=p999_us)
                for name, p999_us in (("ringfort", 50), ("memcached", 90), ("crucible", 40))]
        said, is_met = report.summarise(OPTIONS, [scenario.of_table("rate", raw)], [], rows, [])
        self.assertFalse(is_met)
        self.assertIn("depth 1: p99.9 of ringfort below every rival's (50 µs, bound 40 µs)", said)


class Counters(unittest.TestCase):
    def test_requests_are_those_of_clients_since_before(self):
        def seen(gets, served, loads, deduped, cpu_ns, origin):
            counters = {"Gets": gets, "ServerRequests": served, "Loads": loads, "LoadsDeduped": deduped}
            return peers.Seen(counters, cpu_ns, origin)

        since = seen(1500, 400, 900, 800, (70, 90), 250) - seen(400, 100, 200, 150, (20, 30), 50)
        self.assertEqual((since.requests, since.cpu_ns), (800, (50, 60)))
        self.assertEqual(since.told(), {"origin_per_1000": 250, "peer_per_1000": 375, "joined_per_1000": 62.5})

    def test_those_of_a_ringfort_are_asked_of_itself(self):
        lines = b"STAT Gets 12\r\nSTAT ServerRequests 3\r\nEND\r\n"
        with mock.patch.object(peers, "ask", return_value=lines):
            self.assertEqual(peers.Peer("ringfort-peers", "h:1", "http://h:2", 1).counters(),
                             {"Gets": 12, "ServerRequests": 3})

    def test_a_process_tells_its_time_and_its_memory(self):
        one = peers.Peer("ringfort-peers", "h:1", "http://h:2", os.getpid())
        self.assertGreater(one.cpu_ns(), 1_000_000)
        self.assertGreater(one.resident_mib(), 1)


class Capacity(unittest.TestCase):
    GET, SET = (capacity.Kind(load, "ringfort", load, 16) for load in ("get", "set"))

    def test_results_old_and_new_are_read(self):
        for folder in (ROOT / "bench" / "results").iterdir():
            costs = capacity.costs(folder / "raw.csv", "resp")
            self.assertTrue(all(cost_ns > 0 for cost_ns in costs.values()), folder)
        # Half of ringfort's rows of it have two shards, and are dearer.
        costs = capacity.costs(ROOT / "bench" / "results" / "2026-11-27-epyc" / "raw.csv")
        self.assertAlmostEqual(costs["ringfort", "set", 16], 452, delta=1)

    def test_writes_hop_and_reads_do_not(self):
        self.assertEqual(capacity.cpu_ns(300, self.GET, 128), 300)
        self.assertEqual(capacity.cpu_ns(300, self.SET, 1), 300)
        self.assertEqual(capacity.cpu_ns(300, self.SET, 2), 300 + 460 / 2)

    def test_what_binds_is_the_least(self):
        even = capacity.answer(1000, self.GET, 4, 1000, 25, 64, share=1.0)
        self.assertEqual((even.rate, even.binds()), (4e6, "cores"))
        self.assertEqual(capacity.answer(1000, self.GET, 4, 1000, 25, 64, share=0.5).binds(), "spread")
        large = capacity.answer(1000, self.GET, 4, 1000, 1, 1024, share=1.0)
        self.assertEqual(large.binds(), "link")
        self.assertLess(large.rate, 1e9 / 8 / 1024)

    def test_headers_are_shared_by_what_is_sent_at_once(self):
        self.assertEqual(capacity.wire_bytes(capacity.Kind("get", "ringfort", "get", 1), 64), 190)
        # 16 replies of 100 bytes are two segments.
        self.assertEqual(capacity.wire_bytes(self.GET, 64), 100 + 2 * 90 / 16)

    def test_the_spread_is_even_with_many_connections_only(self):
        self.assertEqual(capacity.usable_share(100, 1), 1)
        few, many = capacity.usable_share(50, 16), capacity.usable_share(50_000, 16, rounds=5)
        self.assertLess(few, 0.6)
        self.assertGreater(many, 0.9)


class WrongUse(unittest.TestCase):
    def test_ends_with_two_before_anything_is_built(self):
        for options, said in ((["--rival", "mysql=/bin/sh"], "mysql is none of"),
                              (["--rival", "valkey=/nowhere"], "/nowhere is no file"),
                              (["--only", "mysql"], "no server is called mysql"),
                              (["--scenario", "none"], "no scenario is called none"),
                              (["--scenario", "hits", "--only", "predixy"], "no server is left")):
            with self.subTest(options=options):
                ran = subprocess.run([sys.executable, "-B", ROOT / "scripts" / "compare", *options],
                                     capture_output=True, text=True)
                self.assertEqual(ran.returncode, 2)
                self.assertIn(said, ran.stderr)


if __name__ == "__main__":
    unittest.main()
