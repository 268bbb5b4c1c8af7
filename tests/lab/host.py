"""A lab host: a libvirtd with its own network, mounts, name and cgroup root, and a limit on its CPU and memory."""
import os
import shutil
import signal
import socket
import sys
import uuid

from . import cgroup, network
from .names import DISK_PORT, GUESTS_MAX
from .shell import LabError, alive, kill, read, run, wait_for, write

HERE = os.path.dirname(os.path.abspath(__file__))

LIBVIRTD_CONF = """\
host_uuid = "{uuid}"
listen_tls = 0
listen_tcp = 1
listen_addr = "{address}"
auth_tcp = "none"
auth_unix_ro = "none"
auth_unix_rw = "none"
max_clients = 200
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""

QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
stdio_handler = "file"
cgroup_controllers = ["cpu", "cpuacct", "cpuset", "memory", "blkio", "devices"]
"""


class Host:
    """One host of a lab. `record` is its entry in the lab's state and is kept up to date by the methods here."""

    def __init__(self, names, record):
        self.names = names
        self.record = record
        self.name = record["name"]
        self.address = record["address"]
        self.folder = f"{names.state}/{self.name}"
        self.root_cgroup = f"{names.cgroup}/{self.name}"
        self.system_cgroup = f"{names.cgroup}/{self.name}-system"
        self.uri = f"qemu+tcp://{self.address}/system"

    @property
    def anchor(self):
        """The process that holds the host's namespaces, or None."""
        pid = self.record.get("anchor")
        return pid if pid and alive(pid, self.names.token) else None

    @property
    def libvirtd(self):
        pid = self.record.get("libvirtd")
        return pid if pid and alive(pid, self.names.token) else None

    def create(self, images):
        """Makes the namespaces and the network. What an earlier, broken host of this name left is removed first."""
        for path in (self.root_cgroup, self.system_cgroup):
            cgroup.remove(path)
            cgroup.create(path)
        cgroup.weigh_cpu(self.system_cgroup, 4)
        os.makedirs(self.folder, exist_ok=True)
        ready = f"{self.folder}/run/lab-host-ready"
        if os.path.exists(ready):
            os.remove(ready)
        anchor = self.start(
            ["unshare", "--mount", "--net", "--uts", "--cgroup", "--propagation", "private", "bash", f"{HERE}/host/root.sh",
             self.names.lab, self.name, self.folder, images], self.root_cgroup, "root")
        wait_for(f"{self.name}: namespaces", lambda: os.path.exists(ready) or not alive(anchor), 20)
        if not alive(anchor):
            with open(f"{self.folder}/root.log") as log:
                raise LabError(f"{self.name}: {(log.read().strip().splitlines() or ['host/root.sh failed'])[-1]}")
        cgroup.enter(self.system_cgroup, anchor)
        cgroup.delegate(self.root_cgroup)
        network.connect_host(self.names, self.name, self.address, anchor)
        self.record["anchor"] = anchor

    def start(self, command, path, log, bare_path=None):
        """Starts a long-lived process of this host in a cgroup, its words going to FOLDER/LOG.log."""
        return start_process(self.names, command, path, f"{self.folder}/{log}.log", bare_path)

    def start_libvirtd(self, capabilities):
        """capabilities: folder with what an earlier libvirtd learned about this machine's QEMU, which takes it seconds."""
        if os.path.isdir(capabilities):
            shutil.copytree(capabilities, f"{self.folder}/libvirt/cache/qemu/capabilities", dirs_exist_ok=True)
        configuration = f"{self.folder}/libvirt/etc"
        host_uuid = uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.{self.names.lab}.proteus-lab")
        write(f"{configuration}/libvirtd.conf", LIBVIRTD_CONF.format(uuid=host_uuid, address=self.address))
        write(f"{configuration}/qemu.conf", QEMU_CONF)
        self.record["libvirtd"] = self.start([*self.entry_command(), "libvirtd", "--listen"], self.system_cgroup,
                                             "libvirtd", self.root_cgroup)

    def delay_storage(self, address):
        """What the host asks of the shared storage at `address` gets there later, if it is to."""
        pid = self.record.get("slow_storage")
        if self.record["storage_delay_ms"] and not (pid and alive(pid, self.names.token)):
            self.record["slow_storage"] = self.start(
                [*self.entry_command(), sys.executable, f"{HERE}/slow_storage.py", self.record["storage_delay_ms"], address,
                 DISK_PORT + 1, GUESTS_MAX], self.system_cgroup, "slow_storage")

    def wait_libvirtd(self):
        def answers():
            if not alive(self.record["libvirtd"]):
                raise LabError(f"{self.name}: libvirtd ended: {self._last_words()}")
            try:
                socket.create_connection((self.address, 16509), timeout=1).close()
                return True
            except OSError:
                return False
        wait_for(f"{self.name}: libvirtd", answers, 30)

    def _last_words(self):
        """Why libvirtd ended, as far as it said; its logs go with the lab."""
        for path in (f"{self.folder}/libvirt/log/libvirtd.log", f"{self.folder}/libvirtd.log"):
            lines = read(path, "").strip().splitlines()
            if lines:
                return " | ".join(lines[-3:])
        return "without a word"

    def learn_capabilities(self, capabilities):
        """Has libvirtd look at QEMU now, not when the first guest starts, and keeps what it learned."""
        run("virsh", "-c", self.uri, "domcapabilities", "--virttype", "qemu", "--machine", "q35")
        learned = f"{self.folder}/libvirt/cache/qemu/capabilities"
        if not os.path.isdir(capabilities) or sorted(os.listdir(learned)) != sorted(os.listdir(capabilities)):
            shutil.rmtree(capabilities, ignore_errors=True)
            shutil.copytree(learned, capabilities)

    def limit(self, lifted=False):
        """Sets the host's capacity; `lifted` takes the CPU limit away for a while."""
        cgroup.limit_cpu(self.root_cgroup, None if lifted else self.record["cpus"])
        cgroup.limit_memory(self.root_cgroup, self.record["memory_mib"])

    def entry_command(self, folder=None):
        if not self.anchor:
            raise LabError(f"{self.name} is not up")
        command = ["nsenter", f"--target={self.anchor}", "--mount", "--net", "--uts", "--cgroup"]
        return command + ([f"--wdns={folder}"] if folder else ["--wdns=/"]) + ["--"]

    def execute(self, command, uncapped):
        """Replaces this process by the command, run on the host."""
        entry = self.entry_command(os.getcwd())
        if uncapped:
            cgroup.enter(self.system_cgroup)
        else:
            cgroup.enter_leaf(self.root_cgroup)
        environment = dict(os.environ, PROTEUS_LAB=self.names.lab, PROTEUS_LAB_HOST=self.name)
        os.execvpe(entry[0], [*entry, *command], environment)

    def usage(self):
        periods, ns = cgroup.cpu_throttled(self.root_cgroup)
        return {"cpu_used_ns": cgroup.cpu_used_ns(self.root_cgroup), "throttled_periods": periods, "throttled_ns": ns,
                "memory_used_bytes": cgroup.memory_used(self.root_cgroup)}

    def stop(self):
        for pid in (self.libvirtd, self.record.get("slow_storage"), self.anchor):
            if pid and alive(pid, self.names.token):
                kill(pid)


# The process moves itself before it becomes the command, so that it is never seen outside its cgroup.
ENTER = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 1; shift; done; shift; exec "$@"'


def start_process(names, command, path, log, bare_path=None):
    """Starts a long-lived process of the lab in the cgroup `path`; it carries the lab's token. Returns its id.

    bare_path: see cgroup.entrances.
    """
    environment = dict(os.environ, PROTEUS_LAB=names.lab, LC_ALL="C")
    words = ["sh", "-c", ENTER, "sh", *cgroup.entrances(path, bare_path), "--", *(str(word) for word in command)]
    return os.posix_spawn("/bin/sh", words, environment, setsid=True, setsigmask=[], setsigdef=[signal.SIGINT, signal.SIGPIPE],
                          file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                                        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
                                        (os.POSIX_SPAWN_DUP2, 1, 2)])
