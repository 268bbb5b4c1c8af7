"""What every end-to-end test shares: one lab, a fresh Proteus per test, and what must hold after each of them."""
import json
import os
import shutil
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from cluster import Cluster, ClusterError  # noqa: E402
from lab import Lab, LabError, guest  # noqa: E402

BUILD = os.environ.get("PROTEUS_BUILD", "build/dev")

# A tick's forecast looks half a minute ahead; the tests last about as long.
OPTIONS = """
[forecast]
step = "1s"
horizon_steps = 20
history_steps = 600
season = "1h"
min_history_steps = 5
refit_every_steps = 5
[view]
staleness = "5s"
[drs]
accept_timeout = "2s"
migrate_deadline = "5m"
"""


def policy(automation="automatic", limits="", rules="", strategies=""):
    return (f'name = "e2e"\nautomation = "{automation}"\n[strategies]\n{strategies}\n'
            f'[limits]\ncooldown = "5s"\npayback = "2m"\n{limits}\n{rules}\n')


# The lab is left as soon as nothing else needs the machine: reasons not to run here, None if there is none.
def cannot_run():
    if os.geteuid() != 0:
        return "the lab needs root"
    for tool in ("libvirtd", "qemu-system-x86_64", "qemu-nbd"):
        if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            return f"{tool} is not installed"
    return None


class LiveCase(unittest.TestCase):
    """Guests and hosts are raised once per class; controller and agents once per test."""

    HOST_CPUS = [0.9, 0.6]
    STORAGE_DELAY_MS = [0]
    GUESTS = []

    @classmethod
    def setUpClass(cls):
        reason = cannot_run()
        if reason:
            raise unittest.SkipTest(reason)
        cls.lab = Lab("e2e", say=lambda text: None)
        cls.addClassCleanup(cls.lab.down)
        cls.lab.down()
        cls.lab.up(hosts=len(cls.HOST_CPUS), cpus=cls.HOST_CPUS, memory_mib=[2048],
                   storage_delay_ms=cls.STORAGE_DELAY_MS)
        cls.lab.start_all(cls.GUESTS)

    def setUp(self):
        self.cluster = Cluster(self.lab, BUILD, say=print)
        self.addCleanup(self.cluster.close)
        self.addCleanup(self._show_words)

    def _show_words(self):
        outcome = self._outcome.result
        if any(test is self for test, _ in outcome.errors + outcome.failures):
            print(self.cluster.words(), file=sys.stderr)
            for what in (["hosts"], ["vms"], ["plan"], ["history", "--limit", "60"]):
                if "controller" in self.cluster.controllers:
                    print(self.cluster.ctl(*what, check=False).stdout, file=sys.stderr)

    def start(self, policy_text, **arguments):
        self.cluster.start_controller(policy_text, options=OPTIONS)
        self.cluster.start_agents(**arguments)
        self.cluster.wait_ready(self.alive_guests())

    def alive_guests(self):
        return [name for name in self.lab.guests() if self.lab.where(name)]

    def hang(self, *names):
        """Stops the QEMUs of guests on h1, until the test ends. Answers when."""
        hung = [pid for name in names for pid in guest.processes(self.lab.host("h1"), name)]
        self.addCleanup(lambda: [os.kill(pid, signal.SIGCONT) for pid in hung])
        for pid in hung:
            os.kill(pid, signal.SIGSTOP)
        return time.time()

    def told(self, kpi, vm, since):
        """Values of a guest measured since then."""
        done = self.cluster.ctl("query", kpi, "--vm", vm, "--from", f"{since:.0f}", "--step", "1s", "--json", check=False)
        return done.returncode == 0 and [p for line in json.loads(done.stdout)["lines"] for p in line["points"] if p is not None]

    # -- what must hold

    def check_after(self, gone=()):
        """Every guest on exactly one host, the journal complete and true, nothing acknowledged lost."""
        for name in self.lab.guests():
            self.assertEqual(len(self.lab.where(name)), 0 if name in gone else 1, f"{name} runs on {self.lab.where(name)}")
        journal = self.cluster.journal()
        lsns = [entry["lsn"] for entry in journal]
        self.assertEqual(lsns, sorted(set(lsns)), "journal entries out of order or doubled")
        states = {}
        for entry in journal:
            if entry["type"] == "action":
                self.assertNotIn(entry["id"], states, "an action was intended twice")
                states[entry["id"]] = "intended"
            if entry["type"] == "transition":
                self.assertEqual(entry["from"], states[entry["action"]], f"transition does not follow: {entry}")
                states[entry["action"]] = entry["to"]
        names = {vm["id"]: name for name, vm in self.cluster.vms().items()}
        last_place = {}
        for entry in journal:
            if entry["type"] == "action" and entry["operation"]["kind"] == "migrate" and states[entry["id"]] == "verified":
                last_place[entry["vm"]] = entry["operation"]["target"]
        for vm, place in last_place.items():
            if names.get(vm) in self.lab.guests() and names[vm] not in gone:
                self.assertEqual(self.lab.where(names[vm]), [place], f"the journal says {names[vm]} was moved to {place}")
        self.check_telemetry()
        return journal

    def check_telemetry(self):
        """Replaying what is stored meets every input: a frame lost after its acknowledgement would change a decision."""
        path = self.cluster.path("check.rec")
        self.cluster.ctl("record", path)
        done = self.cluster.ctl("replay", path, "--diff", check=False)
        self.assertEqual(done.returncode, 0, f"replay differs from the journal:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

    # -- helpers

    def wait_action(self, condition, timeout_s, what):
        """Until an action meets the condition; returns it."""
        def found():
            for action in self.cluster.actions():
                if condition(action):
                    return action
            return None
        return self.cluster.wait(what, found, timeout_s)

    def vm_id(self, name):
        return self.cluster.vms()[name]["id"]

    def bring_home(self):
        """Guests back to where they were started."""
        for guest in self.GUESTS:
            name = guest["name"]
            if name in self.lab.guests():
                self.lab.abort_migration(name)  # a killed agent leaves it under way
            if name not in self.lab.guests() or not self.lab.where(name):
                if name in self.lab.guests():
                    self.lab.stop(name)
                self.lab.start(**guest)
            elif self.lab.where(name) != [guest["host"]]:
                self.lab.migrate(name, guest["host"])
            self.lab.load(name, cpu=0, memory=16, dirty=0, disk=0, net=0)


def main():
    """Runs the calling file's tests; exit code 77 says that they cannot run here, and why."""
    reason = cannot_run()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main(module="__main__", verbosity=2)


__all__ = ["ClusterError", "LabError", "LiveCase", "main", "policy"]
