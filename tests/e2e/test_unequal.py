#!/usr/bin/python3
"""Two unequal hosts, one with more CPU, one with better storage: each guest ends up where it runs better, and that is why."""
import unittest

from case import LiveCase, main, policy

HOME = """
[[rules.pin]]
name = "home"
vms = ["mirror"]
hosts = ["h2"]
"""


class Unequal(LiveCase):
    HOST_CPUS = [1.5, 0.7]
    STORAGE_DELAY_MS = [25, 0]
    GUESTS = [
        {"name": "db", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
        {"name": "render", "host": "h2", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
        {"name": "mirror", "host": "h2", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},  # through it h2's storage is known
    ]

    def test_each_guest_goes_where_it_runs_better(self):
        self.lab.load("db", cpu=5, memory=16, disk_read=3)
        self.lab.load("render", cpu=70, memory=16)
        self.lab.load("mirror", cpu=5, memory=16, disk_read=1)
        self.start(policy(rules=HOME))
        self.cluster.learn([guest["name"] for guest in self.GUESTS], steps=15)
        names = {vm["id"]: name for name, vm in self.cluster.vms().items()}

        def moved_to(guest, host):
            return lambda a: (names.get(a["vm"]) == guest and a["operation"]["kind"] == "migrate" and
                              a["operation"]["target"] == host and a["state"] == "verified")
        to_storage = self.wait_action(moved_to("db", "h2"), 180, "the guest that waits for storage to be moved to the better one")
        to_cpu = self.wait_action(moved_to("render", "h1"), 180, "the guest that wants CPU to be moved to where there is more")

        why = self.cluster.ctl("explain", f"A{to_storage['id']}").stdout
        self.assertIn("db is I/O-bound: storage of h2 answers in", why)
        why = self.cluster.ctl("explain", f"A{to_cpu['id']}").stdout
        self.assertIn("cores", why)
        self.assertIn("render is CPU-bound", why)
        self.assertNotIn("render is I/O-bound", why)

        # What the guest itself sees: it asked for 3 MiB/s, of which storage 25 ms away cannot give more than 2.5.
        self.lab.agent("db").reset()

        def reads():
            return self.lab.stat("db")["disk"]["read"]
        self.cluster.wait("db to have read for a while", lambda: reads()["demanded_mib"] > 30, 30, 0.5)
        self.assertGreater(reads()["done_mib"], 0.9 * reads()["demanded_mib"])

        # And what was predicted of it is followed.
        self.cluster.wait("the move to be compared with what was predicted of it",
                          lambda: self.cluster.get("/v1/status")["move_errors"]["storage"]["moves"] >= 1, 120, 1)
        self.assertEqual(self.lab.where("db"), ["h2"])
        self.assertEqual(self.lab.where("render"), ["h1"])
        self.check_after()


if __name__ == "__main__":
    main()
