#!/usr/bin/python3
"""The whole loop: a guest's load rises; it is reshaped and the host relieved before it is saturated."""
import unittest
from datetime import datetime

from case import LiveCase, main, policy


def seconds(earlier, later):
    return (datetime.fromisoformat(later.replace("Z", "+00:00")) - datetime.fromisoformat(earlier.replace("Z", "+00:00"))).total_seconds()


class Loop(LiveCase):
    GUESTS = [
        {"name": "web", "host": "h1", "vcpus": 1, "max_vcpus": 2, "memory_mib": 128, "quota_percent": 40},
        {"name": "batch", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
        {"name": "db", "host": "h2", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
    ]

    def test_rising_load_is_met_in_place_and_then_elsewhere(self):
        self.start(policy(limits="cpu_headroom = 0.1"))
        def rows(*points):
            return [(t, cpu, 16, 0, 0, 0, 0) for t, cpu in points]
        self.lab.agent("web").schedule(rows((0, 15), (15, 15), (50, 62), (300, 62)), linear=True)
        self.lab.agent("batch").schedule(rows((0, 35), (300, 35)), linear=True)
        self.lab.agent("db").schedule(rows((0, 8), (300, 8)), linear=True)

        web = self.vm_id("web")
        reshaped = self.wait_action(lambda a: a["vm"] == web and a["operation"]["kind"] in ("set_cpu_quota", "set_vcpus") and
                                    a["state"] == "verified", 60, "web to be reshaped")
        moved = self.wait_action(lambda a: a["operation"]["kind"] == "migrate" and a["state"] == "verified", 90, "a guest to be moved")

        for action in (reshaped, moved):
            if action["operation"]["kind"] == "migrate":
                continue  # its reservation comes first; the next line looks at the first command of each
            self.assertLess(seconds(action["trigger_time"], action["executed_at"]), 1.5, f"from tick to execution: {action}")
        accepted = next(t for t in moved["transitions"] if t["to"] == "accepted")
        self.assertLess(seconds(moved["trigger_time"], accepted["agent_time"]), 1.5, f"from tick to execution: {moved}")
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
