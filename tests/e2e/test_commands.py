#!/usr/bin/python3
"""What an agent does to guests, one command at a time, on real libvirt: no controller, only agent/act. About two minutes."""
import json
import os
import signal
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from case import BUILD, cannot_run, main  # noqa: E402

from lab import Lab  # noqa: E402
from lab.shell import run, wait_for  # noqa: E402

PROGRAM = os.path.join(BUILD, "tests/agent/act/act_run_command")
LAB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lab/lab")


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = cannot_run()
        if reason is None and not os.path.exists(PROGRAM):
            reason = f"{PROGRAM} is not built"
        if reason:
            raise unittest.SkipTest(reason)
        cls.lab = Lab("act", say=lambda text: None)
        cls.addClassCleanup(cls.lab.down)
        cls.lab.down()
        cls.lab.up(cpus=[0.9, 0.9])
        cls.lab.start_all([{"name": "web", "memory_mib": 192}, {"name": "fixed", "unmovable": True}, {"name": "keep", "persistent": True}])
        cls.lab.load("web", cpu=20, memory=64, dirty=8)

    def host(self, guest):
        found = self.lab.where(guest)
        self.assertEqual(len(found), 1, f"{guest} must run on exactly one host")
        return found[0]

    def begin(self, guest, *words, host=None):
        host = host or self.host(guest)
        uuid = run("virsh", "-c", self.lab.host(host).uri, "domuuid", guest).strip()
        command = [LAB, "exec", "--uncapped", "--name", "act", host, "--", os.path.abspath(PROGRAM), "qemu:///system", uuid]
        return subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True, start_new_session=True)

    def do(self, guest, *words, host=None):
        """All updates of a command, the last one last."""
        with self.begin(guest, *words, host=host) as process:
            updates = [json.loads(line) for line in process.stdout]
        self.assertTrue(updates, words)
        return updates

    def migrate(self, guest, *options, speed_mibs=None):
        source = self.host(guest)
        target = "h2" if source == "h1" else "h1"
        return self.do(guest, *options, *self.to(target, speed_mibs))

    @staticmethod
    def to(target, speed_mibs=None):
        return ["migrate", target, f"qemu+tcp://{target}/system", "", *([str(speed_mibs)] if speed_mibs else [])]

    def assert_states(self, updates, first, last):
        self.assertEqual((updates[0]["state"], updates[-1]["state"]), (first, last), updates[-1]["message"])

    def test_cpu_settings_are_read_back(self):
        for words, figure, value in ((["quota", "40000", "100000"], "quota_us", 40000), (["quota", "-1", "100000"], "quota_us", -1),
                                     (["shares", "512"], "shares", 512), (["shares", "1024"], "shares", 1024)):
            updates = self.do("keep", *words)
            self.assert_states(updates, "accepted", "succeeded")
            self.assertEqual(updates[-1]["observed"][figure], value)

    def test_a_vcpu_is_plugged(self):
        updates = self.do("fixed", "vcpus", "2")
        self.assert_states(updates, "accepted", "succeeded")
        self.assertEqual(updates[-1]["observed"]["vcpus"], 2)

    def test_the_balloon_is_watched_until_it_stands(self):
        for mib in (96, 128):
            updates = self.do("keep", "memory", str(mib))
            self.assert_states(updates, "accepted", "succeeded")
            self.assertAlmostEqual(updates[-1]["observed"]["memory_bytes"] / 2**20, mib, delta=1)

    def test_a_migration_shows_progress_and_its_downtime(self):
        source = self.host("web")
        updates = self.migrate("web")
        self.assert_states(updates, "accepted", "succeeded")
        self.assertIn("running", [update["state"] for update in updates])
        self.assertGreater(updates[-1]["migration"]["processed"], 0)
        self.assertGreater(updates[-1]["migration"]["downtime_ms"], 0)
        self.assertFalse(updates[-1]["observed"]["active"])
        self.assertNotEqual(self.host("web"), source)

    def test_a_persistent_guest_is_defined_on_one_host(self):
        self.assert_states(self.migrate("keep"), "accepted", "succeeded")
        defined = [host.name for host in self.lab.hosts()
                   if "keep" in run("virsh", "-c", host.uri, "list", "--all", "--name").split()]
        self.assertEqual(defined, [self.host("keep")])

    def test_an_unmovable_guest_is_refused_with_the_reason(self):
        updates = self.migrate("fixed")
        # A machine so busy that libvirt thought about it for long has accepted it by then.
        self.assertIn(updates[-1]["state"], ("refused", "failed"))
        self.assertIn("shared storage", updates[-1]["message"])
        self.assertTrue(updates[-1]["observed"]["running"])

    def test_an_unreachable_target_leaves_the_guest_where_it_is(self):
        source = self.host("web")
        updates = self.do("web", *self.to("h9"))
        self.assert_states(updates, "accepted", "failed")
        self.assertEqual(self.host("web"), source)

    def test_a_migration_is_aborted_on_request_and_at_its_deadline(self):
        for option in ("--abort-after", "--deadline"):
            source = self.host("web")
            updates = self.migrate("web", option, "3", speed_mibs=3)
            self.assert_states(updates, "accepted", "failed")
            self.assertIn("aborted", updates[-1]["message"])
            self.assertTrue(updates[-1]["observed"]["running"])
            self.assertEqual(self.host("web"), source)

    def test_a_migration_goes_on_without_its_agent_and_the_next_one_tells_its_end(self):
        source = self.host("web")
        target = "h2" if source == "h1" else "h1"
        process = self.begin("web", *self.to(target, 32))
        while "running" not in process.stdout.readline():
            pass
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
        updates = self.do("web", "--adopt", *self.to(target), host=source)
        self.assertEqual(updates[-1]["state"], "succeeded", updates[-1]["message"])
        self.assertIn(f"found running on {target}", updates[-1]["message"])
        self.assertEqual(self.host("web"), target)

    def test_a_guest_destroyed_in_the_middle_is_found_nowhere(self):
        self.lab.start("brief")
        source = self.host("brief")
        target = "h2" if source == "h1" else "h1"
        with self.begin("brief", *self.to(target, 3)) as process:
            updates = [json.loads(process.stdout.readline())]
            threading.Thread(target=run, args=("virsh", "-c", self.lab.host(source).uri, "destroy", "brief")).start()
            updates += [json.loads(line) for line in process.stdout]
        self.assert_states(updates, "accepted", "failed")
        self.assertIn("neither on this host nor on", updates[-1]["message"])
        wait_for("brief to be gone", lambda: not self.lab.where("brief"), 10)


if __name__ == "__main__":
    main()
