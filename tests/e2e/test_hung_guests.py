#!/usr/bin/python3
"""Many guests at once whose QEMU does not answer."""
import json
import os
import signal
import time

from case import LiveCase, main, policy
from lab import guest


class ManyHung(LiveCase):
    HOST_CPUS = [0.9]
    GUESTS = [{"name": name, "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128}
              for name in ("one", "two", "three", "four", "five", "six")]

    def test_guests_whose_qemus_hang_hide_no_other_however_many_they_are(self):
        self.start(policy(automation="observe"))
        host = self.lab.host("h1")
        hung = [pid for one in self.GUESTS[1:] for pid in guest.processes(host, one["name"])]
        self.addCleanup(lambda: [os.kill(pid, signal.SIGCONT) for pid in hung])
        for pid in hung:
            os.kill(pid, signal.SIGSTOP)
        stopped = time.time()

        def fresh_memory():
            """Only QEMU tells the balloon's size; by then each that hangs could have kept a thread."""
            since = stopped + 40
            if time.time() < since + 10:
                return None
            done = self.cluster.ctl("query", "balloon_bytes", "--vm", "one", "--from", f"{since:.0f}", "--step", "1s", "--json", check=False)
            return done.returncode == 0 and [p for line in json.loads(done.stdout)["lines"] for p in line["points"] if p is not None]
        self.cluster.wait("memory of the guest that goes on", fresh_memory, 80)
        self.assertIn("is not asked about", self.cluster.agents["h1"].words())


if __name__ == "__main__":
    main()
