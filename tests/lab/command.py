"""The command line of the lab."""
import argparse
import json
import os
import sys
import time

from .cluster import Lab
from .load import read_schedule, read_trace
from .names import labs
from .shell import LabError

EXIT_CODES = """\
exit codes:
  0  done
  1  it did not happen; one line on standard error says why
  2  the command line is wrong
  3  there is no such lab, host or guest
  `exec` and `virsh` end with the exit code of what they ran.
"""

EXAMPLES = """\
A lab is a real libvirt cluster on this one machine: hosts are namespaces with a libvirtd each, guests run under TCG.

  lab up                                      two hosts, h1 with 0.9 CPUs and h2 with 0.5
  lab guest start web --host h1               boot a guest
  lab guest load web --cpu 70 --memory-mib 32 give it something to do
  lab guest migrate web --to h2               move it by hand
  lab status                                  who is where and how busy
  lab exec h1 -- virsh list                   a command on a host
  lab down                                    leave nothing behind

"""


def numbers(kind):
    def parse(text):
        try:
            return [kind(word) for word in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: numbers, separated by commas") from None
    return parse


def parser():
    root = argparse.ArgumentParser(prog="lab", description=EXAMPLES, epilog=EXIT_CODES,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="lab", dest="lab", metavar="LAB", help="which lab (default: lab); labs coexist")
    verbs = root.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    def verb(within, name, help_text, run, **options):
        added = within.add_parser(name, help=help_text, description=help_text, parents=[common], **options)
        added.set_defaults(run=run)
        return added

    up = verb(verbs, "up", "Raise the lab, or mend and adjust the one that is up.", lab_up)
    up.add_argument("--hosts", type=int, help="how many hosts (default 2)")
    up.add_argument("--cpus", type=numbers(float), help="CPU capacity per host, as 0.9,0.5 (default); the last is repeated")
    up.add_argument("--memory-mib", type=numbers(int), help="memory per host (default 2048); the last is repeated")
    up.add_argument("--storage-delay-ms", type=numbers(float), help="how late each request of a host to shared storage gets "
                    "there (default 0), fixed when the host is raised; the last is repeated")
    verb(verbs, "down", "Remove the lab whole, also one that is half up or broken.", lab_down)
    status = verb(verbs, "status", "Hosts with capacity and use, guests with place and work.", lab_status)
    status.add_argument("--json", action="store_true")
    execute = verb(verbs, "exec", "Run a command on a host, in its namespaces and within its CPU limit.", lab_exec)
    execute.add_argument("--uncapped", action="store_true", help="see the host as it sees itself, but outside its CPU and "
                         "memory limit (for an agent: it must not starve with the guests that it watches)")
    execute.add_argument("host")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    virsh = verb(verbs, "virsh", "virsh of one host.", lab_virsh)
    virsh.add_argument("host")
    virsh.add_argument("command", nargs=argparse.REMAINDER, metavar="ARGUMENT …")
    verb(verbs, "list", "Names of the labs on this machine.", lab_list).add_argument("--json", action="store_true")

    guest = verbs.add_parser("guest", help="Guests: start, stop, load, move.").add_subparsers(dest="guest_verb", required=True,
                                                                                              metavar="COMMAND")
    start = verb(guest, "start", "Boot a guest and wait until it answers.", guest_start)
    start.add_argument("guest")
    start.add_argument("--host", required=True)
    start.add_argument("--vcpus", type=int, default=1)
    start.add_argument("--max-vcpus", type=int, help="up to this many can be hot-plugged (default 2)")
    start.add_argument("--memory-mib", type=int, default=128, help="the balloon's first target (default 128)")
    start.add_argument("--max-memory-mib", type=int, help="the most the balloon can give (default: twice that)")
    start.add_argument("--quota-percent", type=float, help="CPU limit per vCPU; 100 is one CPU (default: none)")
    start.add_argument("--shares", type=int, default=1024, help="CPU weight (default 1024)")
    start.add_argument("--unmovable", action="store_true", help="a disk on the host itself, which libvirt refuses to migrate")
    start.add_argument("--persistent", action="store_true", help="define the domain; default is a transient one")
    start.add_argument("--capped-boot", action="store_true", help="keep the host's CPU limit while the guest boots")
    start.add_argument("--no-wait", action="store_true")
    stop = verb(guest, "stop", "End a guest and remove its disk.", guest_stop)
    stop.add_argument("guest", nargs="+")
    verb(guest, "list", "Guests and where they are.", guest_list).add_argument("--json", action="store_true")
    load = verb(guest, "load", "Set a guest's load now; what is not named stays. Ends a schedule.", guest_load)
    load.add_argument("guest")
    for option, destination, help_text in (
            ("--cpu", "cpu", "percent of one calibrated CPU; 150 needs two vCPUs"),
            ("--memory-mib", "memory", "memory kept resident"), ("--dirty-mibs", "dirty", "of it, rewritten per second"),
            ("--disk-mibs", "disk", "written per second"), ("--disk-read-mibs", "disk_read", "read per second"),
            ("--net-mibs", "net", "sent per second to the lab's sink")):
        load.add_argument(option, type=float, dest=destination, help=help_text)
    schedule = verb(guest, "schedule", "Let a guest follow a CSV file: t_seconds,cpu_percent,memory_mib,disk_mibs,net_mibs"
                    "[,dirty_mibs,disk_read_mibs] with a header.", guest_schedule)
    trace = verb(guest, "trace", "Let a guest follow a recorded CPU trace.", guest_trace)
    for added in (schedule, trace):
        added.add_argument("guest")
        added.add_argument("file", help="'-' for standard input")
        added.add_argument("--repeat", action="store_true", help="begin again at the end")
        added.add_argument("--speed", type=float, default=1.0, help="60: an hour a minute")
        added.add_argument("--delay", type=float, default=0.0, help="seconds until it begins")
    schedule.add_argument("--linear", action="store_true", help="interpolate between rows (default: steps)")
    trace.add_argument("--steps", action="store_true", help="hold each figure (default: interpolate)")
    trace.add_argument("--column", help="name or number of the column (default: the last)")
    trace.add_argument("--step-s", type=float, help="seconds between figures (default: the first column is the time)")
    trace.add_argument("--peak-percent", type=float, help="scale the highest figure to this (default: figures are percent)")
    stat = verb(guest, "stat", "What a guest was asked, did and lost, and how late.", guest_stat)
    stat.add_argument("guest")
    stat.add_argument("--json", action="store_true")
    stat.add_argument("--reset", action="store_true", help="then set the counters to zero")
    where = verb(guest, "where", "The hosts on which a guest runs.", guest_where)
    where.add_argument("guest")
    where.add_argument("--json", action="store_true")
    migrate = verb(guest, "migrate", "Live-migrate a guest by hand.", guest_migrate)
    migrate.add_argument("guest")
    migrate.add_argument("--to", required=True, metavar="HOST")
    migrate.add_argument("--speed-mibs", type=int, help="bandwidth limit in MiB/s")
    migrate.add_argument("--json", action="store_true")
    return root


def show(value):
    json.dump(value, sys.stdout, indent=2)
    print()


def table(header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def lab_up(lab, options):
    begun = time.monotonic()
    lab.up(options.hosts, options.cpus, options.memory_mib, options.storage_delay_ms)
    lab.say(f"lab {lab.name} is up ({time.monotonic() - begun:.1f} s)")


def lab_down(lab, options):
    was = any(lab.remains().values())
    lab.down()
    lab.say(f"lab {lab.name} is down" if was else f"lab {lab.name} was not up")


def lab_list(lab, options):
    show(labs()) if options.json else print("\n".join(labs()), end="\n" if labs() else "")


def lab_status(lab, options):
    before = lab.status()
    if options.json:
        return show(before)
    time.sleep(0.5)  # CPU use is a difference
    now = lab.status()
    rows = []
    for old, new in zip(before["hosts"], now["hosts"]):
        used = (new.get("cpu_used_ns", 0) - old.get("cpu_used_ns", 0)) / 0.5e9
        rows.append((new["name"], new["address"], f"{new['cpus']:g}", f"{used:.2f}", new["memory_mib"],
                     new.get("memory_used_bytes", 0) >> 20, new["libvirtd"] or "dead"))
    table(("HOST", "ADDRESS", "CPUS", "USED", "MIB", "USED", "LIBVIRTD"), rows)
    print()
    rows = []
    for guest in now["guests"]:
        agent = guest["agent"]
        place = ",".join(f"{place['host']}:{place['state']}" for place in guest["places"]) or "nowhere"
        load = f"{agent['load']['cpu_percent']:g}%" if agent else "-"
        work = agent["work"] if agent else None
        rows.append((guest["name"], place, guest["address"], load, *((work["demanded"], work["done"], work["lost"],
                    f"{work['latency_us']['p99'] / 1000:.1f}") if work else ("-", "-", "-", "-"))))
    table(("GUEST", "WHERE", "ADDRESS", "LOAD", "DEMANDED", "DONE", "LOST", "P99 MS"), rows)


def without_dashes(command):
    return command[1:] if command[:1] == ["--"] else command


def lab_exec(lab, options):
    command = without_dashes(options.command)
    if not command:
        raise LabError("exec: no command")
    lab.host(options.host).execute(command, options.uncapped)


def lab_virsh(lab, options):
    sys.stdout.flush()
    os.execvp("virsh", ["virsh", "-c", lab.host(options.host).uri, *without_dashes(options.command)])


def guest_start(lab, options):
    begun = time.monotonic()
    address = lab.start(options.guest, options.host, options.vcpus, options.max_vcpus, options.memory_mib, options.max_memory_mib,
                        options.quota_percent, options.shares, options.unmovable, options.persistent, options.capped_boot,
                        not options.no_wait)
    lab.say(f"guest {options.guest} on {options.host} at {address} ({time.monotonic() - begun:.1f} s)")


def guest_stop(lab, options):
    for guest in options.guest:
        lab.stop(guest)


def guest_list(lab, options):
    found = [{"name": name, "address": record["address"], "where": lab.where(name)} for name, record in lab.guests().items()]
    if options.json:
        return show(found)
    table(("GUEST", "ADDRESS", "WHERE"), [(guest["name"], guest["address"], ",".join(guest["where"])) for guest in found])


def guest_load(lab, options):
    demand = {key: getattr(options, key) for key in ("cpu", "memory", "dirty", "disk", "disk_read", "net")}
    if all(value is None for value in demand.values()):
        raise LabError("load: nothing to set; see lab guest load --help")
    lab.load(options.guest, **demand)


def read_file(name, reader):
    if name == "-":
        return reader(sys.stdin)
    try:
        with open(name, newline="") as file:
            return reader(file)
    except OSError as error:
        raise LabError(f"{name}: {error.strerror}") from error


def guest_schedule(lab, options):
    rows = read_file(options.file, read_schedule)
    lab.agent(options.guest).schedule(rows, options.linear, options.repeat, options.speed, options.delay)


def guest_trace(lab, options):
    rows = read_file(options.file, lambda file: read_trace(file, options.column, options.step_s, options.peak_percent))
    lab.agent(options.guest).schedule(rows, not options.steps, options.repeat, options.speed, options.delay)


def guest_stat(lab, options):
    agent = lab.agent(options.guest)
    stat = agent.stat()
    if options.reset:
        agent.reset()
    if options.json:
        return show(stat)
    work, late = stat["work"], stat["work"]["latency_us"]
    print(f"load     {', '.join(f'{key} {value:g}' for key, value in stat['load'].items())}")
    print(f"work     {work['done']} of {work['demanded']} items done, {work['lost']} lost, {work['workers']} workers")
    print(f"lateness p50 {late['p50'] / 1000:.1f}  p90 {late['p90'] / 1000:.1f}  p99 {late['p99'] / 1000:.1f} ms")
    print(f"memory   {stat['memory']['resident_mib']:g} MiB resident, {stat['memory']['guest_available_mib']} available of "
          f"{stat['memory']['guest_total_mib']}, killed {stat['memory']['killed']}")
    print(f"disk     {stat['disk']['write']['done_mib']:.1f} MiB written, {stat['disk']['read']['done_mib']:.1f} read")
    print(f"network  {stat['net']['done_mib']:.1f} of {stat['net']['demanded_mib']:.1f} MiB sent")


def guest_where(lab, options):
    found = lab.where(options.guest)
    show(found) if options.json else print("\n".join(found))


def guest_migrate(lab, options):
    job = lab.migrate(options.guest, options.to, options.speed_mibs)
    if options.json:
        return show(job)
    print(f"{options.guest} is on {options.to}: {job['seconds']:.2f} s, downtime {job.get('Total downtime', '?')}")


def main():
    options = parser().parse_args()
    try:
        lab = Lab(options.lab)
        options.run(lab, options)
        return 0
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 3 if "is not up" in str(error) or "has no" in str(error) else 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130
