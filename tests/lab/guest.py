"""A guest: its domain description, and what libvirt says about where it runs."""
import uuid

try:
    import libvirt
    libvirt.registerErrorHandler(lambda context, error: None, None)  # errors arrive as exceptions, not on stderr too
except ImportError:
    libvirt = None  # help and clean-up work without

from . import cgroup, storage
from .image import COMMAND_LINE
from .names import SINK_PORT, STORAGE_NAME
from .shell import LabError

# QEMU before 9.0 loses writes of an emulated guest that migrates, and the guest then crashes: where it fetches the record of
# written pages 64 at a time it does not tell the emulated CPU that they count as unwritten again. It fetches page by page,
# and does tell, when the memory's size is no multiple of 64 pages. libvirt rounds sizes to MiB, so the two pages more are
# given past it. (Upstream fix: "physmem: Fix migration dirty bitmap coherency with TCG memory access".)
ODD_KIB = 8

DOMAIN = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{max_memory_mib}</memory>
  <currentMemory unit='MiB'>{memory_mib}</currentMemory>
  <vcpu placement='static' current='{vcpus}'>{max_vcpus}</vcpu>
  <cputune><shares>{shares}</shares>{quota}</cputune>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>/run/lab-images/vmlinuz</kernel>
    <initrd>/run/lab-images/initramfs</initrd>
    <cmdline>{command_line}</cmdline>
  </os>
  <features><acpi/><apic/><tcg><tb-cache unit='MiB'>64</tb-cache></tcg></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>
  <clock offset='utc'><timer name='hpet' present='no'/></clock>
  <on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <disk type='{disk_type}' device='disk'>
      <driver name='qemu' type='raw' cache='{cache}'/>
      {disk_source}
      <target dev='vda' bus='virtio'/>
      <address type='pci' domain='0' bus='0' slot='2' function='0'/>
    </disk>
    <interface type='bridge'>
      <mac address='{mac}'/>
      <source bridge='br0'/>
      <model type='virtio'/>
      <address type='pci' domain='0' bus='0' slot='3' function='0'/>
    </interface>
    <memballoon model='virtio'>
      <stats period='1'/>
      <address type='pci' domain='0' bus='0' slot='4' function='0'/>
    </memballoon>
    <serial type='file'><source path='/var/log/libvirt/console-{name}.log'/><target port='0'/></serial>
    <controller type='usb' model='none'/>
    <input type='mouse' bus='ps2'/>
    <video><model type='none'/></video>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-object'/><qemu:arg value='memory-backend-ram,id=lab.ram,size={ram_kib}K'/>
    <qemu:arg value='-machine'/><qemu:arg value='memory-backend=lab.ram'/>
    <qemu:arg value='-m'/><qemu:arg value='{ram_kib}K'/>
  </qemu:commandline>
</domain>
"""


def describe(names, subnet, figures, name, record, local_disk=None):
    """The domain's XML. figures: see image.Image.figures; local_disk: path on the host, absent for the shared disk."""
    lab_address = f"10.99.{subnet}.254"
    command_line = COMMAND_LINE.format(tsc_khz=figures["tsc_khz"])
    command_line += (f" lab.name={name} lab.address={record['address']} lab.sink={lab_address}:{SINK_PORT}"
                     f" lab.iterations_per_s={figures['iterations_per_s']}")
    quota = ""
    if record["quota_percent"]:
        quota = f"<period>100000</period><quota>{round(record['quota_percent'] * 1000)}</quota>"
    if local_disk:
        disk_type, source, cache = "file", f"<source file='{local_disk}'/>", "writeback"
    else:
        port = storage.port_of(record["number"])
        source = f"<source protocol='nbd' name='disk'><host name='{STORAGE_NAME}' port='{port}'/></source>"
        disk_type, cache = "network", "none"
    return DOMAIN.format(
        name=name, uuid=uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{names.lab}.guest.proteus-lab"), quota=quota,
        command_line=command_line, disk_type=disk_type, disk_source=source, cache=cache,
        ram_kib=(record["max_memory_mib"] << 10) + ODD_KIB, mac=f"52:54:00:63:{subnet:02x}:{record['number']:02x}",
        **{key: record[key] for key in ("vcpus", "max_vcpus", "memory_mib", "max_memory_mib", "shares")})


class Connection:
    """libvirt on one host. Usable as a context."""

    def __init__(self, host):
        self.host = host
        if libvirt is None:
            raise LabError("python3-libvirt is not installed")
        try:
            self.libvirt = libvirt.open(host.uri)
        except libvirt.libvirtError as error:
            raise LabError(f"{host.name}: {error}") from error

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.libvirt.close()

    def start(self, xml, persistent):
        try:
            if persistent:
                self.libvirt.defineXML(xml).create()
            else:
                self.libvirt.createXML(xml, 0)
        except libvirt.libvirtError as error:
            raise LabError(f"{self.host.name}: {error}") from error

    def domains(self):
        """Name to state ("running", "paused", …) of every domain the host knows."""
        words = {libvirt.VIR_DOMAIN_RUNNING: "running", libvirt.VIR_DOMAIN_BLOCKED: "running",
                 libvirt.VIR_DOMAIN_PAUSED: "paused", libvirt.VIR_DOMAIN_SHUTDOWN: "shutdown",
                 libvirt.VIR_DOMAIN_SHUTOFF: "shutoff", libvirt.VIR_DOMAIN_CRASHED: "crashed"}
        found = {}
        for domain in self.libvirt.listAllDomains():
            try:
                found[domain.name()] = words.get(domain.state()[0], "other")
            except libvirt.libvirtError:
                continue  # it ended meanwhile
        return found

    def remove(self, name):
        """Ends the domain and forgets its definition. True if there was one."""
        try:
            domain = self.libvirt.lookupByName(name)
        except libvirt.libvirtError:
            return False
        for step in (domain.destroy, domain.undefine):
            try:
                step()
            except libvirt.libvirtError:
                continue  # not running; or transient, so gone with its process
        return True

    def migrating(self, name):
        """Whether the domain is on its way from this host to another."""
        try:
            return self.libvirt.lookupByName(name).jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE
        except libvirt.libvirtError:
            return False

    def abort_migration(self, name):
        try:
            self.libvirt.lookupByName(name).abortJob()
        except libvirt.libvirtError:
            return  # it has ended

    def call(self, name, method, *arguments):
        """One method of a domain, its error as ours."""
        try:
            return getattr(self.libvirt.lookupByName(name), method)(*arguments)
        except libvirt.libvirtError as error:
            raise LabError(f"{self.host.name}: {error}") from error


def processes(host, name):
    """QEMU processes of the guest on the host, whatever libvirt says."""
    found = []
    for pid in cgroup.processes(host.root_cgroup):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if b"-name" in words and words[words.index(b"-name") + 1].startswith(f"guest={name},".encode()):
            found.append(pid)
    return sorted(found)
