"""The lab as tests and demonstrations use it: hosts, guests, their load, and where they are."""
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from . import cgroup, guest, network, remains, storage
from .host import Host, start_process
from .image import Image
from .load import LoadAgent
from .names import GUESTS_MAX, HOSTS_MAX, SINK_PORT, STORAGE_NAME, Names, check_guest_name, subnets_in_use
from .shell import LabError, Lock, alive, kill, read, read_json, run, wait_for, write_json

HERE = os.path.dirname(os.path.abspath(__file__))
CPUS = [0.9, 0.5]
MEMORY_MIB = 2048


def _say(text):
    print(text, file=sys.stderr, flush=True)


class Lab:
    """One lab by name. Several objects, in several processes, may speak of the same lab: state is on disk, under a lock.

    Every method raises LabError with one sentence when what it was asked for did not happen.
    """

    def __init__(self, name="lab", say=_say):
        self.names = Names(name)
        self.name = name
        self.say = say
        self._file = f"{self.names.state}/lab.json"

    # -- state

    def _lock(self):
        return Lock(self.names.cgroup)

    def _read(self):
        state = read_json(self._file, None)
        if state is None:
            raise LabError(f"lab {self.name} is not up")
        return state

    def _write(self, state):
        write_json(self._file, state)

    def _hosts(self, state):
        return [Host(self.names, record) for record in state["hosts"]]

    def exists(self):
        return os.path.exists(self._file)

    # -- the lab as a whole

    def up(self, hosts=None, cpus=None, memory_mib=None, storage_delay_ms=None):
        """Raises the lab, or mends and adjusts the one that is up.

        hosts: how many (2). cpus: capacity per host in CPUs, the last one repeated (0.9, 0.5). memory_mib: likewise (2048).
        storage_delay_ms: how much later than at once each request to shared storage gets there, per host (0); stays as it was
        when the host was raised.
        """
        self._check_machine()
        known = read_json(self._file, {}).get("hosts", [])
        hosts = hosts or max(len(known), len(cpus or []), 2)
        if not 1 <= hosts <= HOSTS_MAX:
            raise LabError(f"{hosts} hosts: a lab has 1 to {HOSTS_MAX}")
        if len(known) > hosts:
            raise LabError(f"lab {self.name} has {len(known)} hosts; take it down before raising one with {hosts}")
        image = Image()
        image.prepare(self.say)
        with self._lock():
            state = read_json(self._file, None) or self._new_state()
            self._adjust(state, hosts, cpus, memory_mib, storage_delay_ms)
            self._raise(state, image)

    def _check_machine(self):
        if os.geteuid() != 0:
            raise LabError("the lab needs root: it makes namespaces, links and cgroups")
        for tool in ("libvirtd", "qemu-system-x86_64", "qemu-nbd", "ip", "nsenter", "unshare", "gcc", "cpio", "dpkg-deb"):
            if not any(os.access(f"{folder}/{tool}", os.X_OK) for folder in ["/usr/sbin", "/sbin", *os.get_exec_path()]):
                raise LabError(f"{tool} is not installed")

    def _new_state(self):
        with Lock("proteus-lab"):  # two labs must not choose the same subnet
            number = self.names.subnet_number(subnets_in_use())
            os.makedirs(self.names.state, exist_ok=True)
            state = {"name": self.name, "subnet": number, "address": f"10.99.{number}.254", "hosts": [], "guests": {},
                     "booting": {}}
            self._write(state)
        return state

    def _adjust(self, state, count, cpus, memory_mib, storage_delay_ms):
        def nth(values, index, default):
            return values[min(index, len(values) - 1)] if values else default
        for index in range(count):
            if index == len(state["hosts"]):
                state["hosts"].append({"name": f"h{index + 1}", "address": f"10.99.{state['subnet']}.{index + 1}",
                                       "cpus": nth(CPUS, index, None), "memory_mib": MEMORY_MIB,
                                       "storage_delay_ms": float(nth(storage_delay_ms, index, 0))})
            record = state["hosts"][index]
            record.setdefault("storage_delay_ms", 0.0)  # raised before there were such
            record["cpus"] = float(nth(cpus, index, record["cpus"]))
            record["memory_mib"] = int(nth(memory_mib, index, record["memory_mib"]))
            if not 0.02 <= record["cpus"] <= os.cpu_count() or record["memory_mib"] < 64:
                raise LabError(f"{record['name']}: 0.02 to {os.cpu_count()} CPUs and at least 64 MiB, not "
                               f"{record['cpus']:g} and {record['memory_mib']}")

    def _raise(self, state, image):
        cgroup.create(f"{self.names.cgroup}/lab")
        # A host's capacity is its limit, and it should get that much whatever else this machine does.
        cgroup.weigh_cpu(self.names.cgroup, 20)
        cgroup.weigh_cpu(f"{self.names.cgroup}/lab", 2)
        network.create_bridge(self.names, state["subnet"])
        for host in state["hosts"]:
            os.makedirs(f"{self.names.state}/{host['name']}", exist_ok=True)
            with open(f"{self.names.state}/{host['name']}/hosts", "w") as file:  # in place: the host has this very file mounted
                file.write("127.0.0.1 localhost\n" +
                           f"{'127.0.0.1' if host['storage_delay_ms'] else state['address']} {STORAGE_NAME}\n" +
                           "".join(f"{other['address']} {other['name']}\n" for other in state["hosts"]))
        state["figures"] = image.figures()
        state["images"] = image.folder
        self._write(state)
        if not alive(state.get("sink") or 0, self.names.token):
            state["sink"] = start_process(self.names, [sys.executable, f"{HERE}/sink.py", state["address"], str(SINK_PORT)],
                                          f"{self.names.cgroup}/lab", f"{self.names.state}/sink.log")
        hosts = self._hosts(state)
        with ThreadPoolExecutor(len(hosts)) as workers:
            fates = list(workers.map(lambda host: self._raise_host(host, image, state["address"]), hosts))
        self._write(state)
        self._set_limits(state)
        for host, fate in zip(hosts, fates):
            self.say(f"{host.name}: {fate}; {host.record['cpus']:g} CPUs, {host.record['memory_mib']} MiB, {host.uri}")

    def _raise_host(self, host, image, storage_address):
        if host.anchor and host.libvirtd:
            return "already up"
        fate = "libvirtd started again"
        if not host.anchor:
            host.stop()
            host.create(image.folder)
            fate = "up"
        host.delay_storage(storage_address)
        host.start_libvirtd(image.capabilities)
        host.wait_libvirtd()
        if host.name == "h1" or os.path.isdir(image.capabilities):
            host.learn_capabilities(image.capabilities)
        return fate

    def down(self):
        """Leaves nothing behind, whatever happened before."""
        with self._lock():
            remains.remove(self.names)

    def remains(self):
        return remains.find(self.names)

    def hosts(self):
        return self._hosts(self._read())

    def host(self, name):
        for host in self.hosts():
            if host.name == name:
                return host
        raise LabError(f"lab {self.name} has no host {name!r}")

    def set_capacity(self, host, cpus=None, memory_mib=None):
        """Changes a host's size while it runs."""
        with self._lock():
            state = self._read()
            record = next((record for record in state["hosts"] if record["name"] == host), None)
            if record is None:
                raise LabError(f"lab {self.name} has no host {host!r}")
            record["cpus"] = float(cpus or record["cpus"])
            record["memory_mib"] = int(memory_mib or record["memory_mib"])
            self._write(state)
            self._set_limits(state)

    def _set_limits(self, state):
        """A host's CPU limit is lifted while a guest boots on it, for as long as the process lives that boots it."""
        state["booting"] = {name: boot for name, boot in state["booting"].items() if alive(boot["pid"])}
        lifted = {boot["host"] for boot in state["booting"].values()}
        for host in self._hosts(state):
            if host.anchor:
                host.limit(lifted=host.name in lifted)

    # -- guests

    def start(self, name, host="h1", vcpus=1, max_vcpus=None, memory_mib=128, max_memory_mib=None, quota_percent=None,
              shares=1024, unmovable=False, persistent=False, capped_boot=False, wait=True):
        """Starts a guest and waits until its load agent answers. Returns its address."""
        check_guest_name(name)
        record = {"vcpus": vcpus, "max_vcpus": max(max_vcpus or 2, vcpus), "memory_mib": memory_mib,
                  "max_memory_mib": max(max_memory_mib or 2 * memory_mib, memory_mib), "quota_percent": quota_percent,
                  "shares": shares, "unmovable": unmovable, "persistent": persistent}
        if record["max_memory_mib"] < 112:
            raise LabError(f"guest {name}: {record['max_memory_mib']} MiB at most is too little to boot; 112 is the least")
        target = self.host(host)
        with self._lock():
            state = self._read()
            if name in state["guests"]:
                if self.where(name):
                    raise LabError(f"guest {name} runs already")
                self._forget(state, name)
            used = {other["number"] for other in state["guests"].values()}
            record["number"] = next((number for number in range(1, GUESTS_MAX) if number not in used), None)
            if record["number"] is None:
                raise LabError(f"lab {self.name} is full: {GUESTS_MAX - 1} guests")
            record["address"] = f"10.99.{state['subnet']}.{100 + record['number']}"
            state["guests"][name] = record
            if not capped_boot and wait:
                state["booting"][name] = {"host": host, "pid": os.getpid()}
            self._write(state)
            self._set_limits(state)
        agent = LoadAgent(name, record["address"])
        try:
            local_disk = storage.make_local(target, name) if unmovable else None
            if not unmovable:
                record["storage"] = storage.serve_shared(self.names, state["address"], name, record["number"])
            with guest.Connection(target) as connection:
                connection.start(guest.describe(self.names, state["subnet"], state["figures"], name, record, local_disk),
                                 persistent)
            if wait:
                wait_for(f"guest {name} (console: {target.folder}/libvirt/log/console-{name}.log)", agent.alive, 120, 0.1)
        except LabError:
            with self._lock():
                state = self._read()
                state["guests"][name] = record
                self._forget(state, name)
            raise
        with self._lock():
            state = self._read()
            state["guests"][name] = record
            state["booting"].pop(name, None)
            self._write(state)
            self._set_limits(state)
        return record["address"]

    def start_all(self, guests):
        """guests: dictionaries of the arguments of start(). Boots them side by side."""
        with ThreadPoolExecutor(max(1, len(guests))) as workers:
            list(workers.map(lambda arguments: self.start(**arguments), guests))

    def stop(self, name):
        with self._lock():
            state = self._read()
            if name not in state["guests"]:
                raise LabError(f"lab {self.name} has no guest {name!r}")
            self._forget(state, name)

    def _forget(self, state, name):
        hosts = self._hosts(state)
        for host in hosts:
            if host.libvirtd:
                with guest.Connection(host) as connection:
                    connection.remove(name)
            for pid in guest.processes(host, name):
                kill(pid)
        record = state["guests"].pop(name)
        state["booting"].pop(name, None)
        storage.remove(self.names, hosts, name, record.get("storage"))
        self._write(state)
        self._set_limits(state)

    def guests(self):
        """Name to record of the guests that were started and not stopped."""
        return self._read()["guests"]

    def agent(self, name):
        """The load agent inside the guest: load(), schedule(), stat(), reset(). See load.LoadAgent."""
        guests = self.guests()
        if name not in guests:
            raise LabError(f"lab {self.name} has no guest {name!r}")
        return LoadAgent(name, guests[name]["address"])

    def load(self, name, **demand):
        self.agent(name).load(**demand)

    def stat(self, name):
        return self.agent(name).stat()

    def where(self, name):
        """Names of the hosts on which the guest is running: exactly one, if all is well.

        A host whose libvirtd is dead is asked by its processes.
        """
        found = []
        for host in self.hosts():
            if not host.libvirtd:
                running = bool(guest.processes(host, name))
            else:
                with guest.Connection(host) as connection:
                    running = connection.domains().get(name) == "running"
            if running:
                found.append(host.name)
        return found

    def abort_migration(self, name, timeout_s=30):
        """Calls back whatever moves the guest, and waits until nothing does: it outlives who began it."""
        def ended():
            moving = False
            for host in self.hosts():
                if not host.libvirtd:
                    continue
                with guest.Connection(host) as connection:
                    if connection.migrating(name):
                        connection.abort_migration(name)
                        moving = True
            return not moving
        wait_for(f"the migration of {name} to end", ended, timeout_s)

    def migrate(self, name, to, speed_mibs=None, timeout_s=120):
        """Live-migrates by hand, peer to peer. Returns seconds taken and libvirt's own figures of the finished job."""
        source = self.where(name)
        if len(source) != 1:
            raise LabError(f"guest {name} runs on {source or 'no host'}")
        target = self.host(to)
        begun = time.monotonic()
        flags = ["--live", "--p2p", "--auto-converge"]
        if self.guests()[name]["persistent"]:
            flags += ["--persistent", "--undefinesource"]
        limit = ["--bandwidth", speed_mibs] if speed_mibs else []
        run("virsh", "-c", self.host(source[0]).uri, "migrate", *flags, *limit, "--timeout", timeout_s, name,
            f"qemu+tcp://{target.name}/system")
        seconds = time.monotonic() - begun
        if self.where(name) != [to]:
            log = read(f"{target.folder}/libvirt/log/qemu/{name}.log", "no log").splitlines()[-1]
            raise LabError(f"guest {name} is on {self.where(name) or 'no host'} after its migration to {to}; QEMU said: {log}")
        lines = run("virsh", "-c", target.uri, "domjobinfo", name, "--completed").splitlines()
        job = dict(line.split(":", 1) for line in lines if ":" in line)
        return {"seconds": round(seconds, 3), **{key.strip(): value.strip() for key, value in job.items()}}

    def status(self):
        """Hosts with their capacity and usage, guests with their place and their agent's figures."""
        with self._lock():
            state = self._read()
            self._set_limits(state)
        hosts, places = [], {}
        for host in self._hosts(state):
            record = {key: host.record[key] for key in ("name", "address", "cpus", "memory_mib", "storage_delay_ms")}
            record.update(uri=host.uri, anchor=host.anchor, libvirtd=host.libvirtd)
            if host.anchor:
                record.update(host.usage())
            if host.libvirtd:
                with guest.Connection(host) as connection:
                    for name, word in connection.domains().items():
                        places.setdefault(name, []).append({"host": host.name, "state": word})
            hosts.append(record)
        guests = []
        for name, record in sorted(state["guests"].items()):
            entry = {"name": name, **record, "places": places.pop(name, [])}
            try:
                entry["agent"] = LoadAgent(name, record["address"]).stat()
            except LabError:
                entry["agent"] = None
            guests.append(entry)
        return {"name": self.name, "address": state["address"], "figures": state["figures"], "hosts": hosts, "guests": guests,
                "other_domains": places}
