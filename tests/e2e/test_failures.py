#!/usr/bin/python3
"""What happens when parts of it are killed, vanish, or lie."""
import json
import os
import signal
import time
import unittest

from case import OPTIONS, ClusterError, LiveCase, main, policy

# Slow enough that a migration of a guest with 96 MiB in use is caught half-way.
SLOW_COPY = 'migration_bandwidth = "6MiB"\nconcurrent_migrations = 1'


class Failures(LiveCase):
    HOST_CPUS = [0.9, 0.9]
    GUESTS = [
        {"name": "one", "host": "h1", "vcpus": 1, "max_vcpus": 2, "memory_mib": 224},
        {"name": "two", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
        {"name": "fixed", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128, "unmovable": True},
    ]

    def setUp(self):
        super().setUp()
        self.bring_home()

    def start_slow_move(self):
        """Evacuates h1 with one migration under way; returns its action once bytes flow."""
        self.lab.load("one", memory=96)
        self.start(policy(limits=SLOW_COPY))
        self.cluster.ctl("maintenance", "h1", "on")
        return self.wait_action(lambda a: a["operation"]["kind"] == "migrate" and a["state"] == "running", 40, "a migration to run")

    def ended(self, action, timeout_s=90):
        return self.wait_action(lambda a: a["id"] == action["id"] and
                                a["state"] in ("verified", "failed", "reverted", "expired", "rejected"), timeout_s, "the action to end")

    def test_controller_killed_in_mid_migration(self):
        action = self.start_slow_move()
        self.cluster.controllers["controller"].kill()
        self.cluster.restart_controller()
        final = self.ended(action)
        self.assertEqual(final["state"], "verified", final)
        journal = self.check_after()
        terms = [entry["term"] for entry in journal if entry["type"] == "started"]
        self.assertEqual(len(terms), 2)
        self.assertLess(terms[0], terms[1])

    def test_agent_killed_in_mid_migration(self):
        action = self.start_slow_move()
        self.cluster.agents["h1"].kill()
        self.cluster.start_agent("h1")
        self.ended(action)  # verified or failed: which one depends on libvirt; what counts is that the journal is true
        self.check_after()

    def test_agent_restarted_goes_on_reporting(self):
        self.start(policy(automation="observe"))
        frames = self.cluster.get("/v1/status")["ingest"]["frames"]
        for host in ("h1", "h2"):
            self.cluster.agents[host].kill()
            self.cluster.start_agent(host)
        self.cluster.wait("both agents to be back", lambda: all(h["fresh"] and h["commandable"] for h in self.cluster.hosts().values()) and
                          self.cluster.get("/v1/status")["ingest"]["frames"] > frames + 6, 30)
        self.check_after()

    def test_guests_are_measured_by_an_agent_that_finds_no_libvirt(self):
        self.cluster.start_controller(policy("recommend"), options=OPTIONS)
        self.cluster.start_agents(libvirt='uri = "qemu+unix:///system?socket=/nonexistent"')
        guests = self.alive_guests()

        def measured():
            for name in guests:
                done = self.cluster.ctl("query", "cpu_run_time_ns", "--vm", name, "--from", "-20s", "--step", "1s", "--json", check=False)
                if done.returncode != 0 or not any(point for line in json.loads(done.stdout)["lines"] for point in line["points"]):
                    return None
            return True
        self.cluster.wait("CPU time of every guest", measured, 60)

    def test_a_guest_whose_qemu_hangs_hides_no_other(self):
        self.start(policy(automation="observe"))
        stopped = self.hang("two")

        def fresh_states():
            """What was measured from well after the stop on, when figures from before it count no more."""
            since = stopped + 15
            return time.time() >= since + 3 and self.told("vm_state", "one", since)
        self.cluster.wait("the state of another guest to go on being told", fresh_states, 60)
        self.assertTrue(self.cluster.vms()["one"]["running"])
        self.lab.stop("fixed")
        self.cluster.wait("a guest that has ended to be gone", lambda: "fixed" not in self.cluster.vms(), 30)
        self.lab.start(**self.GUESTS[2])
        self.cluster.wait("a new guest to be seen", lambda: self.cluster.vms().get("fixed", {}).get("running"), 60)

    def test_guests_are_known_to_run_however_many_qemus_hang(self):
        self.start(policy(automation="observe"))
        end = self.hang("two", "fixed") + 25  # figures from before count for 6 seconds
        while time.time() < end:
            vms = self.cluster.vms()
            self.assertEqual([], [name for name in self.alive_guests() if not vms[name]["running"]], f"{end - time.time():.1f} s before the end")
            time.sleep(0.5)

    def test_a_libvirtd_that_hangs_leaves_what_the_kernel_tells(self):
        self.start(policy(automation="observe"))
        guests = self.alive_guests()
        daemon = self.lab.host("h1").libvirtd
        self.addCleanup(lambda: os.kill(daemon, signal.SIGCONT))
        os.kill(daemon, signal.SIGSTOP)

        def measured_without_libvirt():
            """Once what libvirt said last counts no more."""
            host = self.cluster.hosts()["h1"]
            states = self.cluster.ctl("query", "vm_state", "--vm", "one", "--from", "-5s", "--step", "1s", "--json", check=False)
            told = [p for line in json.loads(states.stdout)["lines"] for p in line["points"] if p is not None]
            return host["libvirt_trouble"] and host["fresh"] and not told
        self.cluster.wait("libvirt to be silent", measured_without_libvirt, 60)
        self.assertFalse(self.cluster.hosts()["h1"]["commandable"], "nothing can be done there")
        vms = self.cluster.vms()
        self.assertEqual([], [name for name in guests if not vms[name]["running"]])
        os.kill(daemon, signal.SIGCONT)
        self.cluster.wait("libvirt to answer again", lambda: self.cluster.hosts()["h1"]["commandable"], 60)
        self.check_after()

    def test_an_agent_ends_in_time_though_libvirtd_hangs(self):
        self.start(policy(automation="observe"))
        daemon = self.lab.host("h1").libvirtd
        self.addCleanup(lambda: os.kill(daemon, signal.SIGCONT))
        os.kill(daemon, signal.SIGSTOP)
        self.cluster.wait("libvirt to be silent", lambda: self.cluster.hosts()["h1"]["libvirt_trouble"], 60)
        self.assertEqual(0, self.cluster.agents["h1"].stop(timeout_s=8))
        os.kill(daemon, signal.SIGCONT)
        self.cluster.start_agent("h1")
        self.cluster.wait("the host to be commanded again", lambda: self.cluster.hosts()["h1"]["commandable"], 60)
        self.check_after()

    def test_guest_destroyed_between_decision_and_execution(self):
        self.lab.load("two", memory=32)
        self.start(policy(automation="approve"))
        self.cluster.ctl("maintenance", "h1", "on")
        two = self.vm_id("two")
        action = self.wait_action(lambda a: a["vm"] == two and a["state"] == "awaiting_approval", 30, "two's move to await approval")
        self.lab.stop("two")
        self.cluster.ctl("approve", f"A{action['id']}")
        final = self.ended(action)
        self.assertIn(final["state"], ("failed", "expired"), final)
        self.assertTrue(final["message"], "the operator is told why")
        self.check_after()

    def test_unmovable_guest_does_not_block_the_plan(self):
        self.start(policy())
        self.cluster.ctl("maintenance", "h1", "on")
        self.cluster.wait("one and two to be moved", lambda: self.lab.where("one") == ["h2"] and self.lab.where("two") == ["h2"], 60)
        self.assertEqual(self.lab.where("fixed"), ["h1"])
        vm = self.cluster.vms()["fixed"]
        self.assertTrue(vm["unmovable"], vm)
        fixed = vm["id"]
        self.cluster.wait("open actions to end", lambda: not self.cluster.get("/v1/plan")["open_actions"], 30)
        self.assertFalse([a for a in self.cluster.actions() if a["vm"] == fixed and a["operation"]["kind"] == "migrate"])
        self.check_after()

    def test_wrong_key_is_refused(self):
        self.start(policy(automation="observe"))
        self.cluster.agents["h2"].stop()
        self.cluster.keygen("stranger", "agent")
        before = self.cluster.get("/v1/status")["ingest"]["refused_keys"]
        self.cluster.start_agent("h2", keys="stranger")
        self.cluster.wait("the key to be refused", lambda: self.cluster.get("/v1/status")["ingest"]["refused_keys"] > before, 20)
        self.cluster.wait("h2 to be stale", lambda: not self.cluster.hosts()["h2"]["fresh"], 20)
        self.assertTrue(self.cluster.hosts()["h1"]["fresh"])
        self.cluster.wait("the agent to say so", lambda: "refused" in self.cluster.agents["h2"].words(), 20)
        self.check_after()

    def test_two_controllers_by_mistake(self):
        # The same data directory: the second one says so and ends.
        self.start(policy())
        first = self.cluster.controllers["controller"]
        second = type(first)("second", first.command, self.cluster.path("second.log"))
        second.start()
        self.cluster.wait("the second controller to end", lambda: not second.running, 15)
        self.assertNotEqual(second.process.returncode, 0)
        self.assertIn("another", second.words().lower())
        # A store and ports of its own, and agents that are told of both: they follow the first, the other only watches.
        self.cluster.start_controller(policy(), name="usurper", options='[forecast]\nstep = "1s"\nhorizon_steps = 20', offset=100)
        for host in ("h1", "h2"):
            self.cluster.agents[host].stop()
            self.cluster.start_agent(host, controllers=("controller", "usurper"))
        self.cluster.wait_ready(self.alive_guests())
        self.cluster.wait("the usurper to see the hosts", lambda: len(self.cluster.hosts("usurper")) == 2, 20)
        self.assertFalse(any(h["commandable"] for h in self.cluster.hosts("usurper").values()))
        self.cluster.post("/v1/hosts/h1/maintenance", {"on": True}, "usurper")
        self.cluster.ctl("maintenance", "h2", "on")  # the true one has nothing to do there
        self.cluster.wait("the usurper to hear that both hosts follow another", lambda: {
            entry["host"] for entry in self.cluster.journal("usurper")
            if entry["type"] == "agent" and not entry["commandable"]} == {"h1", "h2"}, 30)
        cycle = self.cluster.get("/v1/status", "usurper")["cycle"]["number"]
        self.cluster.wait("cycles of the usurper",
                          lambda: self.cluster.get("/v1/status", "usurper")["cycle"]["number"] > cycle + 5, 30)
        self.assertFalse(any(h["commandable"] for h in self.cluster.hosts("usurper").values()))
        self.assertFalse([a for a in self.cluster.actions("usurper") if a["executed_at"]])
        self.assertEqual(self.lab.where("one"), ["h1"])
        self.check_after()

    def test_pause_stops_and_resume_goes_on(self):
        self.start(policy())
        self.cluster.ctl("pause")
        self.cluster.ctl("maintenance", "h1", "on")
        cycle = self.cluster.get("/v1/status")["cycle"]["number"]
        self.cluster.wait("some cycles", lambda: self.cluster.get("/v1/status")["cycle"]["number"] > cycle + 4, 20)
        self.assertEqual(self.cluster.actions(), [])
        self.cluster.ctl("resume")
        self.cluster.wait("two to be moved", lambda: self.lab.where("two") == ["h2"], 60)
        self.cluster.wait("open actions to end", lambda: not self.cluster.get("/v1/plan")["open_actions"], 30)
        self.check_after()

    def test_what_cannot_be_is_said_with_the_right_exit_code(self):
        self.start(policy(automation="observe"))
        for arguments, code in ((["explain", "A999"], 4), (["forecast", "nobody"], 4), (["approve", "A999"], 4), (["explain", "xyz"], 2),
                                (["nonsense"], 2), (["maintenance", "h9", "on"], 4)):
            done = self.cluster.ctl(*arguments, check=False)
            self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}{done.stderr}")
            self.assertTrue(done.stderr.strip(), arguments)
        self.cluster.controllers["controller"].stop()
        self.assertEqual(self.cluster.ctl("hosts", check=False).returncode, 3)
        with self.assertRaises(ClusterError):
            self.cluster.get("/v1/status")


if __name__ == "__main__":
    main()
