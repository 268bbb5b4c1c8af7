#!/usr/bin/python3
"""The whole loop: a guest's load rises; it is reshaped and the host relieved before it is saturated."""
import unittest
from datetime import datetime

from case import LiveCase, main, policy


def seconds(earlier, later):
    return (datetime.fromisoformat(later.replace("Z", "+00:00")) - datetime.fromisoformat(earlier.replace("Z", "+00:00"))).total_seconds()


class Loop(LiveCase):
    HOST_CPUS = [1.0, 1.2]
    GUESTS = [
        {"name": "web", "host": "h1", "vcpus": 1, "max_vcpus": 2, "memory_mib": 128, "quota_percent": 40},
        {"name": "api", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
        {"name": "batch", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
        {"name": "db", "host": "h2", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
    ]

    def test_rising_load_is_met_in_place_and_then_elsewhere(self):
        flat = {"web": 10, "api": 15, "batch": 30, "db": 5}
        for name, percent in flat.items():
            self.lab.load(name, cpu=percent, memory=16)
        self.start(policy(limits="cpu_headroom = 0.1"))
        self.cluster.learn(list(flat), steps=15)
        points = [(0, 10), (5, 10), (50, 65), (300, 65)]
        self.lab.agent("web").schedule([(t, cpu, 16, 0, 0, 0, 0) for t, cpu in points], linear=True)

        web = self.vm_id("web")
        reshaped = self.wait_action(lambda a: a["vm"] == web and a["operation"]["kind"] in ("set_cpu_quota", "set_vcpus") and
                                    a["state"] == "verified", 100, "web to be reshaped")
        moved = self.wait_action(lambda a: a["operation"]["kind"] == "migrate" and a["state"] == "verified", 90, "a guest to be moved")

        for action in (reshaped, moved):
            self.assertLess(seconds(action["trigger_time"], action["executed_at"]), 1.5, f"from what set it off to execution: {action}")
        self.assertGreater(moved["migration"]["bytes_processed"], 0)

        # The explanation is a sum, and the forecast is its reason.
        explained = self.cluster.ctl("explain", f"A{moved['id']}", "--json").stdout
        self.assertIn('"do_nothing"', explained)
        text = self.cluster.ctl("explain", f"A{moved['id']}").stdout
        for word in ("PERFORMANCE", "do nothing", "verified"):
            self.assertIn(word, text)
        for command in (["hosts"], ["vms"], ["plan"], ["history"], ["status"], ["forecast", "web"], ["forecast", "web", "--plot"],
                        ["top", "--frames", "1"]):
            self.assertTrue(self.cluster.ctl(*command).stdout.strip(), command)

        self.check_after()
        path = self.cluster.path("loop.rec")
        self.cluster.ctl("record", path)
        first, second = (self.cluster.ctl("replay", path).stdout for _ in range(2))
        self.assertEqual(first, second)
        self.assertIn("migrate", first)


if __name__ == "__main__":
    main()
