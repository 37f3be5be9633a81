"""What scripts/agree tells of reports, and how it reads those of the other generators."""

import json
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from compare import Failed, agreement, generators  # noqa: E402
from compare.generators import Load, Report  # noqa: E402

ONE = Load("resp", "get", 1, 1)
DEEP = Load("resp", "get", 16, 50)
EASY = Report(requests=1000, requests_per_s=10_000, mean_us=99, p50_us=95, p99_us=150,
              generator_utilisation=0.6, server_cpu_ns=40_000, server_utilisation=0.4)


class Verdicts(unittest.TestCase):
    def told(self, load=ONE, name="redis-benchmark", ours=EASY, **theirs):
        return agreement.verdict(load, ours, name, replace(ours, **theirs))

    def test_within_a_tenth_or_a_step_they_agree(self):
        self.assertEqual(self.told(), "agrees")
        self.assertEqual(self.told(requests_per_s=9_100, p50_us=103, p99_us=165), "agrees")
        self.assertEqual(self.told(requests_per_s=8_000, p99_us=170), "DIFFERS: ours is rate 1.25x, p99 0.88x")

    def test_who_is_full_measures_itself(self):
        said = self.told(requests_per_s=5_000, generator_utilisation=0.95)
        self.assertEqual(said, "not the same thing: redis-benchmark full (rate 2.00x)")

    def test_a_full_server_has_one_rate(self):
        full = replace(EASY, server_utilisation=0.97)
        self.assertEqual(self.told(DEEP, ours=full, p99_us=100), "rate agrees; the server is full (p99 1.50x)")
        self.assertTrue(self.told(DEEP, ours=full, requests_per_s=8_000).startswith("DIFFERS"))

    def test_memtier_sends_no_batches(self):
        self.assertIn("one for each reply", self.told(DEEP, "memtier", requests_per_s=8_000))
        self.assertTrue(self.told(ONE, "memtier", requests_per_s=8_000).startswith("DIFFERS"))

    def test_a_server_that_waited_is_no_witness(self):
        self.assertIn("waited 20%", self.told(requests_per_s=8_000, server_waiting=0.2))

    def test_latencies_that_leave_nothing_out_obey_littles_law(self):
        self.assertAlmostEqual(agreement.counted(ONE, EASY), 0.99)
        self.assertAlmostEqual(agreement.counted(ONE, replace(EASY, mean_us=49.5)), 0.495)

    def test_the_table_has_medians_and_counts_what_differs(self):
        slow = [replace(EASY, requests_per_s=rate) for rate in (1, 5_000, 1e9)]
        lines, verdicts = agreement.table([("redis", ONE, {agreement.OURS: [EASY], "redis-benchmark": slow})])
        self.assertEqual(verdicts, ["DIFFERS: ours is rate 2.00x"])
        self.assertIn("| redis, get depth 1, 1 connections | ringfort-bench | 10,000 | 95 | 150 | 99% |", lines[2])
        self.assertIn("DIFFERS: ours is rate 2.00x", lines[3])


    def test_agreement_is_none_against_and_some_for(self):
        self.assertEqual(agreement.summary(["agrees", "rate agrees; …", "not the same thing: …"]),
                         ("2 agree, 1 do not measure the same thing", True))
        for verdicts in (["agrees", "DIFFERS: …"], ["agrees", "disturbed: …"], ["not the same thing: …"], []):
            self.assertFalse(agreement.summary(verdicts)[1], verdicts)


class Readings(unittest.TestCase):
    def test_redis_benchmark(self):
        said = ('"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms",'
                '"max_latency_ms"\n"GET","26709.40","1.479","0.016","0.463","5.951","10.399","33.919"\n')
        report = generators.read_redis_benchmark(said, None)
        self.assertEqual(report, Report(0, 26709.4, 1479, 463, 10399))
        with self.assertRaises(Failed):
            generators.read_redis_benchmark("Could not connect to Redis\n", None)

    def memtier(self, gets, sets):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "report.json"
            path.write_text(json.dumps({"ALL STATS": {"Gets": gets, "Sets": sets}}))
            return generators.read_memtier("", path)

    def test_memtier(self):
        told = {"Count": 38080, "Ops/sec": 37280.3, "Misses/sec": 0.0, "Average Latency": 1.339,
                "Percentile Latencies": {"p50.00": 0.5, "p99.00": 12.25}}
        nothing = {**told, "Count": 0}
        self.assertEqual(self.memtier(told, nothing), Report(38080, 37280.3, 1339, 500, 12250))
        with self.assertRaises(Failed):
            self.memtier({**told, "Misses/sec": 5.0}, nothing)

    def test_all_are_asked_for_the_same(self):
        load = Load("memcache", "set", 16, 50)
        command = generators.memtier("m", ("h", 7), load, 1, 2.0, "r")
        self.assertEqual(command[command.index("--ratio") + 1], "1:0")
        self.assertEqual(command[command.index("--key-maximum") + 1] - generators.FIRST_KEY, 999)
        fill = generators.memtier_fill("m", ("h", 7), load, "r")
        self.assertEqual(fill[fill.index("--requests") + 1], 1000)
        self.assertNotIn("--test-time", fill)
        self.assertEqual(generators.redis_benchmark("b", ("h", 7), load, 1, 5, "r")[-5:],
                         ["-t", "set", "--csv", "--precision", 3])


if __name__ == "__main__":
    unittest.main()
