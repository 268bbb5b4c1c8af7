"""A whole Proteus on a lab cluster, as end-to-end tests and the demonstration use it."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from lab import Lab
from lab.shell import LabError

TELEMETRY_PORT = 7401
COMMAND_PORT = 7402


class ClusterError(Exception):
    """One sentence for a person."""


class Daemon:
    """A long-running process with its log file; start, stop and kill -9 at will."""

    def __init__(self, name, command, log):
        self.name = name
        self.command = command
        self.log = log
        self.process = None

    def start(self):
        with open(self.log, "ab") as words:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=words, stderr=words,
                                            start_new_session=True)

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self._signal(signal.SIGKILL)

    def stop(self, timeout_s=15):
        """Asks it to end; returns its exit code."""
        self._signal(signal.SIGTERM, timeout_s)
        return self.process.returncode if self.process else None

    def _signal(self, number, timeout_s=15):
        if not self.running:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ClusterError(f"{self.name} did not end within {timeout_s} s; its log: {self.log}") from None

    def words(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()


class Cluster:
    """One controller and one agent per lab host. Everything it writes lies under one folder that `close` removes."""

    def __init__(self, lab, build, say=lambda text: None):
        self.lab = lab
        self.build = os.path.abspath(build)
        self.say = say
        self.folder = tempfile.mkdtemp(prefix=f"proteus-{lab.name}-")
        os.chmod(self.folder, 0o755)
        self.agents = {}
        self.controllers = {}
        self.controller_keys = {}
        for program in ("agent/proteus-agent", "controller/proteus-controller", "controller/ctl/proteusctl"):
            if not os.access(f"{self.build}/{program}", os.X_OK):
                raise ClusterError(f"{self.build}/{program} is not built")

    # -- files

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def keygen(self, who, role):
        """Makes a key pair with the program's own command; returns its public key."""
        program = {"agent": "agent/proteus-agent", "controller": "controller/proteus-controller"}[role]
        folder = self.path("keys", who)
        os.makedirs(folder, exist_ok=True)
        done = subprocess.run([f"{self.build}/{program}", "keygen", folder, "--name", who], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise ClusterError(f"keygen for {who}: {done.stderr.strip()}")
        with open(f"{folder}/{role}.pub", encoding="utf-8") as file:
            lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
        return lines[0][1]

    # -- controllers

    def start_controller(self, policy, name="controller", options="", offset=0):
        """policy: TOML text. options: more TOML for controller.toml. offset: added to the ports, for a second controller."""
        address = self.lab.status()["address"]
        if name not in self.controller_keys:
            self.controller_keys[name] = self.keygen(name, "controller")
        self.write("authorized_agents", "".join(f"{host} {key}\n" for host, key in self._agent_keys().items()))
        policy_file = self.write(f"{name}/policy.toml", policy)
        config = self.write(f"{name}/controller.toml", f"""
id = "{name}"
policy = "{policy_file}"
{options if not options.lstrip().startswith("[") else ""}
[listen]
telemetry = "tcp://{address}:{TELEMETRY_PORT + offset}"
command = "tcp://{address}:{COMMAND_PORT + offset}"
[keys]
secret = "{self.path("keys", name, "controller.key")}"
authorized_agents = "{self.path("authorized_agents")}"
[store]
directory = "{self.path(name, "store")}"
[api]
port = {7480 + self._port_shift() + offset}
token_file = "{self.path(name, "api.token")}"
{options if options.lstrip().startswith("[") else ""}
""")
        daemon = self.controllers.get(name)
        if daemon is None:
            daemon = Daemon(name, [f"{self.build}/controller/proteus-controller", "run", "--config", config],
                            self.path(name, "log"))
            daemon.url = f"http://127.0.0.1:{7480 + self._port_shift() + offset}"
            daemon.token_file = self.path(name, "api.token")
            daemon.endpoints = {"telemetry": f"tcp://{address}:{TELEMETRY_PORT + offset}",
                                "command": f"tcp://{address}:{COMMAND_PORT + offset}",
                                "key": self.controller_keys[name]}
            self.controllers[name] = daemon
        daemon.start()
        self.wait(f"{name} to answer", lambda: self._answers(daemon), 20)
        return daemon

    def restart_controller(self, name="controller"):
        daemon = self.controllers[name]
        daemon.start()
        self.wait(f"{name} to answer", lambda: self._answers(daemon), 20)

    def _port_shift(self):
        """Labs side by side have different subnets; their controllers' APIs get different ports."""
        return int(self.lab.status()["address"].split(".")[2]) * 10

    def _answers(self, daemon):
        if not daemon.running:
            last = (daemon.words().strip().splitlines() or ["no word"])[-1]
            raise ClusterError(f"{daemon.name} ended: {last}")
        try:
            return self.get("/v1/status", daemon.name)
        except ClusterError:
            return None

    # -- agents

    def _agent_keys(self):
        if not hasattr(self, "_keys"):
            self._keys = {host.name: self.keygen(host.name, "agent") for host in self.lab.hosts()}
        return self._keys

    def start_agent(self, host, controllers=("controller",), options="", keys=None, libvirt=""):
        """host: a lab host's name. keys: whose key pair to use instead of the host's own (for tests of refusal). libvirt:
        more lines of that table."""
        self._agent_keys()
        lab_host = self.lab.host(host)
        listed = "".join(f"""
[[controller]]
telemetry = "{self.controllers[name].endpoints["telemetry"]}"
command = "{self.controllers[name].endpoints["command"]}"
public_key = "{self.controllers[name].endpoints["key"]}"
""" for name in controllers)
        config = self.write(f"agent-{host}/agent.toml", f"""
host = "{host}"
secret_key = "{self.path("keys", keys or host, "agent.key")}"
state_directory = "{self.path("agent-" + host, "state")}"
[libvirt]
peer_uri = "qemu+tcp://{host}/system"
migrate_uri = "tcp://{lab_host.address}"
{libvirt}
[collect]
slow_interval = "2s"
[limits]
memory_min = "64MiB"
host_memory_reserve = "64MiB"
{options}
{listed}
""")
        os.makedirs(self.path("agent-" + host, "state"), exist_ok=True)
        command = ["env", f"PROTEUS_LAB={self.lab.name}", sys.executable, os.path.join(os.path.dirname(__file__), "..", "lab", "lab"),
                   "exec", "--name", self.lab.name, "--uncapped", host, "--", f"{self.build}/agent/proteus-agent", "run", "--config", config]
        daemon = self.agents.setdefault(host, Daemon(f"agent {host}", command, self.path(f"agent-{host}", "log")))
        daemon.command = command
        daemon.start()
        return daemon

    def start_agents(self, **arguments):
        for host in self.lab.hosts():
            self.start_agent(host.name, **arguments)

    # -- the API

    def _request(self, path, controller, body=None):
        daemon = self.controllers[controller]
        try:
            with open(daemon.token_file, encoding="utf-8") as file:
                token = file.read().strip()
        except OSError as error:
            raise ClusterError(f"{controller}: no token yet: {error}") from error
        request = urllib.request.Request(daemon.url + path, headers={"Authorization": f"Bearer {token}"},
                                         data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise ClusterError(f"{path}: {error.code} {text.strip()}") from error
        except (OSError, ValueError) as error:
            raise ClusterError(f"{path}: {error}") from error

    def get(self, path, controller="controller"):
        return self._request(path, controller)

    def post(self, path, body=None, controller="controller"):
        return self._request(path, controller, body or {})

    def ctl(self, *arguments, controller="controller", check=True):
        """Runs proteusctl; returns the finished process."""
        daemon = self.controllers[controller]
        done = subprocess.run([f"{self.build}/controller/ctl/proteusctl", "--url", daemon.url, "--token-file", daemon.token_file,
                               *arguments], capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode != 0:
            raise ClusterError(f"proteusctl {' '.join(arguments)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done

    def vms(self, controller="controller"):
        return {vm["name"]: vm for vm in self.get("/v1/vms", controller)}

    def hosts(self, controller="controller"):
        return {host["id"]: host for host in self.get("/v1/hosts", controller)}

    def actions(self, controller="controller"):
        return self.get("/v1/actions", controller)

    def journal(self, controller="controller"):
        """Everything, oldest first."""
        return self.get("/v1/history?limit=100000&all=1", controller)[::-1]

    # -- waiting and ending

    def wait(self, what, condition, timeout_s, step_s=0.1):
        """Polls until the condition holds; returns its value. The condition may raise ClusterError to end the wait."""
        deadline = time.monotonic() + timeout_s
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise ClusterError(f"waited {timeout_s:g} s in vain for {what}")
            time.sleep(step_s)

    def wait_ready(self, guests, timeout_s=30, controller="controller"):
        """Until every host is fresh and takes commands, and every guest is seen running."""
        def ready():
            try:
                hosts = self.hosts(controller)
                vms = self.vms(controller)
            except ClusterError:
                return False
            return (len(hosts) == len(self.lab.hosts()) and all(h["fresh"] and h["commandable"] for h in hosts.values()) and
                    all(name in vms and vms[name]["running"] for name in guests))
        self.wait("every host and guest to be seen", ready, timeout_s)

    def learn(self, guests, steps, timeout_s=60):
        """Paused, until every guest's forecast rests on so many steps; what is known too little is no reason to act."""
        self.post("/v1/pause", {"by": "the cluster's start"})
        def known():
            try:
                return all(len(self.get(f"/v1/vms/{name}/forecast")["history"]) >= steps for name in guests)
            except ClusterError:
                return False
        self.wait("the forecasts to learn", known, timeout_s, 0.5)
        self.post("/v1/resume", {"by": "the cluster's start"})

    def words(self):
        """Warnings and errors of every process, and who ended unasked, for a failing test to show."""
        lines = []
        for daemon in [*self.controllers.values(), *self.agents.values()]:
            if daemon.process is not None and daemon.process.poll() is not None:
                lines.append(f"{daemon.name}: ended with {daemon.process.returncode}; its last words: {daemon.words()[-500:]}")
            if os.path.exists(daemon.log):
                lines += [f"{daemon.name}: {line}" for line in daemon.words().splitlines()
                          if re.search(r"warning|error|terminate|Sanitizer", line)]
        return "\n".join(lines[-40:])

    def close(self):
        for daemon in [*self.agents.values(), *self.controllers.values()]:
            try:
                daemon.stop()
            except ClusterError as error:
                self.say(str(error))
        shutil.rmtree(self.folder, ignore_errors=True)


__all__ = ["Cluster", "ClusterError", "Daemon", "Lab", "LabError"]
