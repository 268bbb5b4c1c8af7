#!/usr/bin/python3
"""The lab, tried for real. Takes about three minutes; needs root and what `./run deps` installs."""
import glob
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from lab import Lab, LabError, cgroup, guest, load  # noqa: E402
from lab.guest import libvirt  # noqa: E402
from lab.names import Names  # noqa: E402
from lab.shell import wait_for  # noqa: E402

COMMAND = f"{os.path.dirname(os.path.realpath(__file__))}/lab"
NAME = "labtest"
TOOLS = ["libvirtd", "qemu-system-x86_64", "qemu-nbd", "virsh", "nsenter", "unshare", "gcc", "cpio", "dpkg-deb"]


def why_not():
    if os.geteuid() != 0:
        return "needs root"
    if libvirt is None:
        return "not installed: python3-libvirt"
    absent = [tool for tool in TOOLS if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    return f"not installed: {', '.join(absent)}" if absent else None


def found_on_machine(name):
    """What of a lab is on the machine, looked up without the lab's own code."""
    found = []
    for environment in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(environment, "rb") as file:
                if f"PROTEUS_LAB={name}".encode() in file.read().split(b"\0"):
                    found.append(environment)
        except OSError:
            continue
    for words in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(words, "rb") as file:
                if f"/run/proteus-lab/{name}/".encode() in file.read():
                    found.append(words)
        except OSError:
            continue
    found += glob.glob(f"/sys/class/net/pl-{name}*")
    found += [path for pattern in ("/sys/fs/cgroup/proteus-lab-", "/sys/fs/cgroup/*/proteus-lab-")
              for path in glob.glob(f"{pattern}{name}*")]
    found += glob.glob(f"/run/proteus-lab/{name}*")
    with open("/proc/self/mountinfo") as file:
        found += [line for line in file if f"proteus-lab/{name}" in line or f"proteus-lab-{name}" in line]
    return found


def namespaces(pid):
    return {os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "net", "uts", "cgroup")}


def namespaces_held():
    held = set()
    for pid in glob.glob("/proc/[0-9]*"):
        try:
            held |= namespaces(os.path.basename(pid))
        except OSError:
            continue
    return held


class Pure(unittest.TestCase):
    def test_names_that_would_not_fit_an_interface_are_refused(self):
        for name in ("", "Lab", "1lab", "a-b", "ninechars", "a/b"):
            with self.assertRaises(LabError):
                Names(name)
        self.assertLessEqual(len(Names("eightchr").link("h20")), 15)

    def test_a_lab_owns_its_links_and_no_other_labs(self):
        names = Names("ab")
        self.assertTrue(names.owns_link("pl-ab") and names.owns_link("pl-ab-h12"))
        self.assertFalse(names.owns_link("pl-abc") or names.owns_link("pl-a") or names.owns_link("pl-ab-x"))

    def test_a_taken_subnet_is_passed_over(self):
        self.assertEqual(Names("lab").subnet_number(set()), 0)
        self.assertEqual(Names("lab").subnet_number({0, 1}), 2)
        with self.assertRaises(LabError):
            Names("lab").subnet_number(set(range(250)))

    def test_schedule_file(self):
        rows = load.read_schedule(["# a comment\n", "t_seconds,cpu_percent,net_mibs\n", "0,10,1\n", "5.5,70,\n"])
        self.assertEqual(rows, [(0, 10, 0, 0, 1, 0, 0), (5.5, 70, 0, 0, 0, 0, 0)])
        for bad in (["cpu_percent\n", "1\n"], ["t_seconds,colour\n", "0,1\n"], ["t_seconds,cpu_percent\n", "0,x\n"],
                    ["t_seconds,cpu_percent\n", "1,1\n", "1,2\n"], ["t_seconds,cpu_percent\n"]):
            with self.assertRaises(LabError):
                load.read_schedule(bad)

    def test_trace_file(self):
        rows = load.read_trace(["time,mem,cpu\n", "100,5,0.2\n", "160,5,0.4\n"], peak_percent=80)
        self.assertEqual([row[:2] for row in rows], [(0, 40), (60, 80)])
        rows = load.read_trace(["3\n", "6\n"], step_s=300)
        self.assertEqual([row[:2] for row in rows], [(0, 3), (300, 6)])
        with self.assertRaises(LabError):
            load.read_trace(["a,b\n", "1,2\n"], column="c")


@unittest.skipIf(why_not(), why_not())
class Cluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(NAME, say=lambda text: None)
        cls.lab.down()
        cls.lab.up(hosts=2, cpus=[1.2, 0.6])
        cls.lab.start_all([{"name": "a", "host": "h1"}, {"name": "b", "host": "h1"}])

    @classmethod
    def tearDownClass(cls):
        cls.lab.down()

    def setUp(self):
        for name in ("a", "b"):
            self.lab.load(name, cpu=0, memory=0, dirty=0, disk=0, disk_read=0, net=0)

    def cpus_used(self, host, seconds=2.0):
        before, begun = self.lab.host(host).usage()["cpu_used_ns"], time.monotonic()
        time.sleep(seconds)
        return (self.lab.host(host).usage()["cpu_used_ns"] - before) / 1e9 / (time.monotonic() - begun)

    def domain(self, name):
        connection = libvirt.open(self.lab.host(self.lab.where(name)[0]).uri)
        self.addCleanup(connection.close)
        return connection.lookupByName(name)

    def home(self, name="a"):
        if self.lab.where(name) != ["h1"]:
            self.lab.migrate(name, "h1")

    def test_up_again_changes_nothing(self):
        pids = [(host.anchor, host.libvirtd) for host in self.lab.hosts()]
        self.lab.up(hosts=2, cpus=[1.2, 0.6])
        self.assertEqual(pids, [(host.anchor, host.libvirtd) for host in self.lab.hosts()])
        self.assertEqual(self.lab.where("b"), ["h1"])

    def test_a_host_sees_itself_and_the_others(self):
        def on_host(*options):
            return subprocess.run([COMMAND, "exec", "--name", NAME, *options], stdout=subprocess.PIPE, text=True, check=True).stdout
        seen = on_host("h2", "--", "sh", "-c", "hostname; getent hosts h1; ls /sys/class/net; cat /proc/self/cgroup")
        self.assertIn("h2\n", seen)
        self.assertIn(self.lab.host("h1").address, seen)
        self.assertIn("br0", seen)
        self.assertNotIn("proteus-lab", seen)
        on_host("h1", "--", "sh", "-c", "touch /etc/proteus/x /var/lib/proteus/x /run/proteus/x; mountpoint -q /sys/fs/bpf")
        self.assertEqual(on_host("h2", "--", "sh", "-c", "ls /etc/proteus /var/lib/proteus /run/proteus | grep x || true"), "")
        self.assertFalse(os.path.exists("/etc/proteus/x"))

    def test_uncapped_is_outside_the_limit(self):
        def used_by(*options):
            subprocess.run([COMMAND, "exec", "--name", NAME, *options, "h2", "--", "timeout", "2", "sh", "-c",
                            "(while :; do :; done) & while :; do :; done"], stdout=subprocess.DEVNULL)
            return self.lab.host("h2").usage()["cpu_used_ns"]
        start = self.lab.host("h2").usage()["cpu_used_ns"]
        capped = used_by() - start
        self.assertGreater(capped, 0.4e9)
        self.assertLess(capped, 2 * 0.6e9 * 1.25)
        self.assertLess(used_by("--uncapped") - start - capped, 0.2e9)

    def test_load_shows_on_the_host(self):
        idle = self.cpus_used("h1")
        self.lab.load("a", cpu=40)
        self.lab.load("b", cpu=30)
        time.sleep(1)
        busy = self.cpus_used("h1", 3)
        self.assertLess(idle, 0.2)
        self.assertGreater(busy, idle + 0.35)
        self.assertLess(busy, 1.2 * 1.1)
        self.lab.agent("a").reset()
        time.sleep(1)
        self.assertGreater(self.lab.stat("a")["work"]["done"], 50)

    def test_saturation_shows_as_run_queue_wait_and_lost_work(self):
        def waited_ns():
            total = 0
            for name in ("a", "b"):
                for task in glob.glob(f"/proc/{guest.processes(self.lab.host('h1'), name)[0]}/task/*"):
                    with open(f"{task}/schedstat") as file:
                        total += int(file.read().split()[1])
            return total
        self.addCleanup(self.lab.set_capacity, "h1", 1.2)
        self.lab.set_capacity("h1", 0.4)
        for name in ("a", "b"):
            self.lab.load(name, cpu=60)
        time.sleep(2)
        before = waited_ns()
        self.lab.agent("a").reset()
        time.sleep(3)
        self.assertGreater(waited_ns() - before, 1e9)
        work = self.lab.stat("a")["work"]
        self.assertGreater(work["lost"], 0)
        self.assertLess(work["done"], 0.8 * work["demanded"])

    def test_disk_memory_and_network_load(self):
        self.lab.load("a", memory=24, dirty=8, disk=2, disk_read=2, net=4)

        def all_done():
            stat = self.lab.stat("a")
            return (stat["memory"]["resident_mib"] == 24 and stat["memory"]["dirtied_mib"] > 8 and stat["net"]["done_mib"] > 4
                    and stat["disk"]["write"]["done_mib"] > 2 and stat["disk"]["read"]["done_mib"] > 2)
        wait_for("all loads", all_done, 20)
        self.assertEqual(self.lab.stat("a")["disk"]["write"]["errors"], 0)

    def test_schedule_runs_in_the_guest(self):
        self.lab.agent("a").schedule([(0, 10, 0, 0, 0, 0, 0), (2, 30, 0, 0, 0, 0, 0), (4, 5, 0, 0, 0, 0, 0)])
        seen = set()

        def ended():
            stat = self.lab.stat("a")
            seen.add(stat["load"]["cpu_percent"])
            return stat["schedule"] is None
        wait_for("end of the schedule", ended, 20, 0.2)
        self.assertEqual(seen, {10, 30, 5})

    def test_live_migration_under_load(self):
        self.home()
        self.lab.load("a", cpu=40, memory=24, dirty=4, net=1)
        time.sleep(1)
        before = self.lab.stat("a")
        job = self.lab.migrate("a", "h2")
        self.assertEqual(self.lab.where("a"), ["h2"])
        self.assertIn("Total downtime", job)
        after = self.lab.stat("a")
        self.assertGreater(after["uptime_s"], before["uptime_s"])
        self.assertGreater(after["work"]["done"], before["work"]["done"])
        sent = after["net"]["done_mib"]
        wait_for("work and network after the migration", lambda: self.lab.stat("a")["net"]["done_mib"] > sent + 1, 10)
        self.assertGreater(self.lab.stat("a")["work"]["done"], after["work"]["done"])
        self.assertGreater(self.cpus_used("h2"), 0.2)
        self.home()
        self.assertEqual(self.lab.where("a"), ["h1"])

    def test_quota(self):
        self.lab.load("a", cpu=80)
        time.sleep(1)
        free = self.cpus_used("h1")
        self.domain("a").setSchedulerParameters({"vcpu_period": 50000, "vcpu_quota": 15000})
        time.sleep(0.5)
        held = self.cpus_used("h1")
        self.domain("a").setSchedulerParameters({"vcpu_quota": -1})
        self.assertGreater(free, 0.5)
        self.assertLess(held, 0.5)
        self.domain("a").setSchedulerParameters({"cpu_shares": 2048})
        self.assertEqual(self.domain("a").schedulerParameters()["cpu_shares"], 2048)

    def test_added_vcpu_is_used(self):
        self.lab.load("b", cpu=100)
        time.sleep(1)
        one = self.cpus_used("h1")
        self.lab.load("b", cpu=180)
        self.domain("b").setVcpus(2)
        wait_for("the second vCPU", lambda: self.lab.stat("b")["work"]["workers"] == 2, 20)
        self.assertEqual(self.lab.stat("b")["cpus_online"], 2)
        two = self.cpus_used("h1")
        self.assertGreater(two, one + 0.08)
        with self.assertRaises(libvirt.libvirtError):  # see guest/boot.c
            self.domain("b").setVcpus(1)
        self.assertEqual(self.domain("b").vcpusFlags(), 2)

    def test_balloon(self):
        domain = self.domain("b")
        low = wait_for("the first balloon target", lambda: domain.memoryStats()["actual"] == 128 * 1024
                       and self.lab.stat("b")["memory"]["guest_total_mib"], 20)
        domain.setMemory(224 * 1024)
        wait_for("a larger guest", lambda: self.lab.stat("b")["memory"]["guest_total_mib"] > low + 80, 20)
        self.assertIn("usable", domain.memoryStats())
        domain.setMemory(128 * 1024)
        wait_for("a smaller guest", lambda: self.lab.stat("b")["memory"]["guest_total_mib"] < low + 10, 20)

    def test_unmovable_guest_is_refused(self):
        self.lab.start("stone", host="h1", unmovable=True)
        self.addCleanup(self.lab.stop, "stone")
        with self.assertRaises(LabError) as refusal:
            self.lab.migrate("stone", "h2")
        self.assertIn("nsafe", str(refusal.exception))
        self.assertEqual(self.lab.where("stone"), ["h1"])

    def test_a_dead_libvirtd_is_mended_and_guests_live_on(self):
        daemon = self.lab.host("h2").libvirtd
        os.kill(daemon, signal.SIGKILL)
        wait_for("its end", lambda: not self.lab.host("h2").libvirtd, 5)
        self.lab.up()
        self.assertNotEqual(self.lab.host("h2").libvirtd, daemon)
        self.assertEqual(self.lab.where("b"), ["h1"])

    def test_wrong_guests_and_hosts_are_refused(self):
        for wrong in (lambda: self.lab.start("a", host="h1"), lambda: self.lab.start("c", host="h9"),
                      lambda: self.lab.start("c d", host="h1"), lambda: self.lab.stop("none"), lambda: self.lab.stat("none")):
            with self.assertRaises(LabError):
                wrong()


@unittest.skipIf(why_not(), why_not())
class Removal(unittest.TestCase):
    """Labs that end badly; each is called NAME and must be gone afterwards."""

    def setUp(self):
        self.lab = Lab("labgone", say=lambda text: None)
        self.lab.down()

    def assert_gone(self, held=frozenset()):
        self.assertEqual(found_on_machine("labgone"), [])
        self.assertFalse(any(self.lab.remains().values()))
        self.assertEqual(held & namespaces_held(), set())

    def lab_namespaces(self):
        return set().union(*(namespaces(host.anchor) for host in self.lab.hosts())) - namespaces("self")

    def test_down_leaves_nothing(self):
        before = {path for path in ("/etc/proteus", "/var/lib/proteus", "/run/proteus") if os.path.exists(path)}
        self.lab.up(hosts=2)
        self.lab.start("a", host="h1", wait=False)
        held = self.lab_namespaces()
        self.assertEqual(len(held), 8)
        self.assertNotEqual(found_on_machine("labgone"), [])
        self.lab.down()
        self.assert_gone(held)
        self.assertEqual(before, {path for path in ("/etc/proteus", "/var/lib/proteus", "/run/proteus") if os.path.exists(path)})

    def test_down_after_a_half_done_up(self):
        for seconds in (0.15, 0.25, 0.35, 0.5, 0.8):
            with self.subTest(killed_after_s=seconds):
                up = subprocess.Popen([COMMAND, "up", "--name", "labgone"], stderr=subprocess.DEVNULL)
                time.sleep(seconds)
                up.kill()
                up.wait()
                self.lab.down()
                self.assert_gone()

    def test_down_without_its_state(self):
        self.lab.up(hosts=1)
        held = self.lab_namespaces()
        os.remove("/run/proteus-lab/labgone/lab.json")
        os.kill(self.lab_anchor(), signal.SIGKILL)
        self.lab.down()
        self.assert_gone(held)

    def lab_anchor(self):
        return next(pid for pid in cgroup.processes("proteus-lab-labgone/h1-system") if b"sleep" in self.words(pid))

    @staticmethod
    def words(pid):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read() + os.readlink(f"/proc/{pid}/exe").encode()

    def test_up_mends_a_lab_whose_host_was_killed(self):
        self.lab.up(hosts=2)
        for pid in cgroup.processes("proteus-lab-labgone/h1") | cgroup.processes("proteus-lab-labgone/h1-system"):
            os.kill(pid, signal.SIGKILL)
        self.lab.up()
        self.assertTrue(all(host.anchor and host.libvirtd for host in self.lab.hosts()))
        self.lab.down()
        self.assert_gone()

    def test_down_removes_only_its_own(self):
        other = Lab("labgonex", say=lambda text: None)
        self.addCleanup(other.down)
        self.lab.up(hosts=1)
        other.up(hosts=1)
        self.assertNotEqual(self.lab.host("h1").address, other.host("h1").address)
        self.lab.down()
        self.assertTrue(other.host("h1").anchor and other.host("h1").libvirtd)
        other.down()
        self.assertEqual(found_on_machine("labgone"), [])


if __name__ == "__main__":
    if why_not():
        print(f"skipped: {why_not()}")
        sys.exit(77)
    unittest.main(verbosity=2)
