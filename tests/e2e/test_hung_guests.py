#!/usr/bin/python3
"""Many guests at once whose QEMU does not answer."""
import time

from case import LiveCase, main, policy


class ManyHung(LiveCase):
    HOST_CPUS = [0.9]
    GUESTS = [{"name": name, "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128}
              for name in ("one", "two", "three", "four", "five", "six")]

    def test_guests_whose_qemus_hang_hide_no_other_however_many_they_are(self):
        self.start(policy(automation="observe"))
        stopped = self.hang(*(one["name"] for one in self.GUESTS[1:]))

        def fresh_memory():
            """Only QEMU tells the balloon's size; by then each that hangs could have kept a thread."""
            since = stopped + 40
            return time.time() >= since + 10 and self.told("balloon_bytes", "one", since)
        self.cluster.wait("memory of the guest that goes on", fresh_memory, 80)
        self.assertIn("is not asked about", self.cluster.agents["h1"].words())


if __name__ == "__main__":
    main()
