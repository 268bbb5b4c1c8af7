#!/usr/bin/env python3
"""Others' programs beside ours, on the machine as it is now. JSON lines with name, value and unit.

agents: CPU time, user and system, that prometheus-node-exporter, collectd and netdata take for a value when they are asked
        for all of them once a second. They see the host, not its VMs; prometheus-libvirt-exporter sees 100 domains of
        libvirt's test driver, which runs inside it: what libvirtd and QEMU would take is not there.
hooks:  run time of the programs of libbpf-tools' runqlat -P for a change of the thread on a CPU, by the kernel's statistics
        and with what these cost themselves (bench_telemetry_hooks tells it as clock_overhead), while two processes pass a
        byte through pipes. The same load as there. Needs root and bpftool.
stores: bytes on disk, index included, that prometheus and victoria-metrics take for a value of a recorded host: the same
        series, chosen and copied to several hosts in the same way, as bench_telemetry_store's bytes_per_sample_mix and
        ..._active, compacted.

The programs are those of Debian's packages, installed or unpacked (dpkg -x PACKAGE.deb DIRECTORY) below --root.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BEGIN_S = 1_699_999_200
COPY_SHIFT_S = 7
CONSTANT_SHARE_MAX = 400 / 1096
ACTIVE_SHARE_MIN = 0.05


def report(name, value, unit):
    print(json.dumps({"name": name, "value": float(f"{value:.4g}"), "unit": unit}), flush=True)


def fetch(url, data=None, timeout=60):
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=timeout) as answer:
        return answer.read()


def until_it_answers(url, process, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            return fetch(url)
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{url} does not answer") from None
            time.sleep(0.2)


@contextlib.contextmanager
def running(command, **options):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cpu_ns(session):
    """Of every thread of every process of the session that still lives."""
    total = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[3]) != session:
                continue
            for schedstat in stat.parent.glob("task/*/schedstat"):
                total += int(schedstat.read_text().split()[0])
    return total


def measure_agent(name, session, seconds, ask):
    """ask(): once a second; how many values there are in a second."""
    for _ in range(5):
        ask()
        time.sleep(1)
    values, before, next_at = 0, cpu_ns(session), time.monotonic()
    for _ in range(seconds):
        values += ask()
        next_at += 1
        time.sleep(max(0.0, next_at - time.monotonic()))
    spent_us = (cpu_ns(session) - before) / 1000
    report(f"{name}_us_per_sample", spent_us / values, "us")
    report(f"{name}_samples_per_s", values / seconds, "1/s")


def node_exporter(root, seconds):
    with running([f"{root}/usr/bin/prometheus-node-exporter", "--web.listen-address=127.0.0.1:19100"]) as process:
        url = "http://127.0.0.1:19100/metrics"
        until_it_answers(url, process)
        measure_agent("node_exporter", process.pid, seconds,
                      lambda: sum(not line.startswith(b"#") for line in fetch(url).splitlines()))


def collectd(root, seconds):
    with tempfile.TemporaryDirectory() as directory:
        plugins = "cpu cpufreq df disk entropy interface irq load memory processes swap tcpconns users vmem csv".split()
        config = pathlib.Path(directory, "collectd.conf")
        config.write_text(f'BaseDir "{directory}"\nPluginDir "{root}/usr/lib/collectd"\nTypesDB "{root}/usr/share/collectd/types.db"\n'
                          f'Interval 1\n' + "".join(f"LoadPlugin {p}\n" for p in plugins) +
                          f'<Plugin csv>\nDataDir "{directory}/csv"\n</Plugin>\n')
        seen = 0

        def written():
            nonlocal seen
            count = 0
            for file in pathlib.Path(directory, "csv").rglob("*-*"):
                if file.is_file():
                    with file.open("rb") as lines:
                        columns = lines.readline().count(b",")
                        count += columns * sum(1 for _ in lines)
            seen, new = count, count - seen
            return new

        with running([f"{root}/usr/sbin/collectd", "-f", "-C", str(config)]) as process:
            measure_agent("collectd", process.pid, seconds, written)


def netdata(root, seconds):
    with tempfile.TemporaryDirectory() as directory:
        for part in ("cache", "lib", "log", "run"):
            pathlib.Path(directory, part).mkdir()
        config = pathlib.Path(directory, "netdata.conf")
        config.write_text(f'[directories]\nconfig = {directory}\nstock config = {root}/usr/lib/netdata/conf.d\n'
                          f'cache = {directory}/cache\nlib = {directory}/lib\nlog = {directory}/log\nplugins = {root}/usr/lib/netdata/plugins.d\nweb = {directory}\n[db]\nmode = ram\n'
                          f'[plugins]\nebpf = no\n[web]\nbind to = 127.0.0.1:19999\n[ml]\nenabled = no\n')
        with running([f"{root}/usr/sbin/netdata", "-D", "-c", str(config), "-u", "root"]) as process:
            url = "http://127.0.0.1:19999/api/v1/charts"
            until_it_answers(url, process)
            dimensions = 0

            def counted():
                nonlocal dimensions
                if dimensions == 0:
                    charts = json.loads(fetch(url))["charts"].values()
                    dimensions = sum(len(chart["dimensions"]) / chart["update_every"] for chart in charts)
                return dimensions

            time.sleep(10)  # its charts appear one after the other
            measure_agent("netdata", process.pid, seconds, counted)


def libvirt_exporter(root, seconds):
    with tempfile.TemporaryDirectory() as directory:
        domains = "".join(f"<domain type='test'><name>vm{i}</name><memory>262144</memory><vcpu>4</vcpu>"
                          "<os><type>hvm</type></os></domain>" for i in range(100))
        node = pathlib.Path(directory, "node.xml")
        node.write_text(f"<node>{domains}</node>")
        with running([f"{root}/usr/bin/prometheus-libvirt-exporter", f"--libvirt.uri=test://{node}",
                      "--web.listen-address=127.0.0.1:19177"]) as process:
            url = "http://127.0.0.1:19177/metrics"
            until_it_answers(url, process)

            def libvirt_values():
                return sum(line.startswith(b"libvirt_") for line in fetch(url).splitlines())

            measure_agent("libvirt_exporter", process.pid, seconds, libvirt_values)


AGENTS = {"node_exporter": node_exporter, "collectd": collectd, "netdata": netdata, "libvirt_exporter": libvirt_exporter}


def programs_of(pid):
    """name -> (runs, ns) of the kernel programs that the process holds."""
    ids = set()
    for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            ids.update(int(line.split()[1]) for line in info.read_text().splitlines() if line.startswith("prog_id:"))
    shown = json.loads(subprocess.run(["/usr/sbin/bpftool", "-j", "prog", "show"], check=True, capture_output=True).stdout)
    return {program["name"]: (program.get("run_cnt", 0), program.get("run_time_ns", 0)) for program in shown
            if program["id"] in ids}


def pass_bytes(round_trips):
    """Between this process and a child, both on CPU 0."""
    forth, back = os.pipe(), os.pipe()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {0})
    child = os.fork()
    if child == 0:
        for _ in range(round_trips):
            os.write(back[1], os.read(forth[0], 1))
        os._exit(0)
    for _ in range(round_trips):
        os.write(forth[1], b"x")
        os.read(back[0], 1)
    os.waitpid(child, 0)
    os.sched_setaffinity(0, before)
    for fd in (*forth, *back):
        os.close(fd)


def hooks(root):
    statistics = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    enabled = statistics.read_text()
    statistics.write_text("1")
    try:
        with running([f"{root}/usr/sbin/runqlat", "-P", "3600"]) as process:
            end = time.monotonic() + 30
            while not any("switch" in name for name in programs_of(process.pid)):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit("runqlat does not start")
                time.sleep(0.5)
            before = programs_of(process.pid)
            pass_bytes(200_000)
            after = programs_of(process.pid)
    finally:
        statistics.write_text(enabled)
    spent = {name: (runs - before[name][0], ns - before[name][1]) for name, (runs, ns) in after.items()}
    switches = max(runs for name, (runs, _) in spent.items() if "switch" in name)
    for name, (runs, ns) in sorted(spent.items()):
        if runs > 0:
            report(f"runqlat_{name}_ns", ns / runs, "ns")
            report(f"runqlat_{name}_runs_per_switch", runs / switches, "1")
    report("runqlat_ns_per_switch", sum(ns for _, ns in spent.values()) / switches, "ns")


def load(path):
    """name -> values by second, None where there was none."""
    series = {}
    for line in pathlib.Path(path).read_text().splitlines():
        name, _, values = line.split("\t")
        series[name] = [None if word == "-" else int(word) for word in values.split()]
    return series


def changing_share(values):
    return sum(a != b for a, b in zip(values, values[1:])) / len(values)


def mix_of(series):
    shares = {name: changing_share(values) for name, values in series.items()}
    changing = sum(share > 0 for share in shares.values())
    constants = int(changing * CONSTANT_SHARE_MAX / (1 - CONSTANT_SHARE_MAX))
    chosen = {}
    for name, values in series.items():
        if shares[name] == 0:
            if constants <= 0:
                continue
            constants -= 1
        chosen[name] = values
    return chosen


def active_of(series):
    return {name: values for name, values in series.items() if changing_share(values) >= ACTIVE_SHARE_MIN}


def copies_of(series, copies):
    """(labels, [(second, value)]) of each series of each host."""
    seconds = min(len(values) for values in series.values()) - (copies - 1) * COPY_SHIFT_S
    for copy in range(copies):
        for name, values in series.items():
            part = values[copy * COPY_SHIFT_S:copy * COPY_SHIFT_S + seconds]
            points = [(BEGIN_S + i, value) for i, value in enumerate(part) if value is not None]
            if points:
                yield {"series": name, "host": f"host-{copy:03}"}, points


def bytes_below(directory):
    return sum(file.stat().st_size for file in pathlib.Path(directory).rglob("*") if file.is_file())


def prometheus_bytes(root, data, directory):
    text = pathlib.Path(directory, "data.om")
    with text.open("w") as out:
        out.write("# TYPE value gauge\n")
        for labels, points in data:
            name = f'value{{series="{labels["series"]}",host="{labels["host"]}"}}'
            out.writelines(f"{name} {value} {second}\n" for second, value in points)
        out.write("# EOF\n")
    blocks = pathlib.Path(directory, "blocks")
    subprocess.run([f"{root}/usr/bin/promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(blocks)],
                   check=True, stdout=subprocess.DEVNULL)
    return bytes_below(blocks)


def victoria_bytes(root, data, directory):
    storage = pathlib.Path(directory, "victoria")
    url = "http://127.0.0.1:18428"
    with running([f"{root}/usr/bin/victoria-metrics", f"-storageDataPath={storage}", "-httpListenAddr=127.0.0.1:18428",
                  "-retentionPeriod=100y"]) as process:
        until_it_answers(f"{url}/health", process)
        lines = [json.dumps({"metric": {"__name__": "value", **labels}, "values": [v for _, v in points],
                             "timestamps": [1000 * t for t, _ in points]}) for labels, points in data]
        for i in range(0, len(lines), 500):
            fetch(f"{url}/api/v1/import", "\n".join(lines[i:i + 500]).encode(), timeout=600)
        fetch(f"{url}/internal/force_flush", timeout=600)
        fetch(f"{url}/internal/force_merge", timeout=600)
        size = bytes_below(storage)
        while True:  # merging goes on behind the answer
            time.sleep(5)
            now = bytes_below(storage)
            if now == size:
                return size
            size = now


def stores(root, path, copies):
    recorded = load(path)
    for kind, chosen in (("mix", mix_of(recorded)), ("active", active_of(recorded))):
        data = list(copies_of(chosen, copies))
        count = sum(len(points) for _, points in data)
        for name, measure in (("prometheus", prometheus_bytes), ("victoria_metrics", victoria_bytes)):
            with tempfile.TemporaryDirectory() as directory:
                report(f"{name}_bytes_per_sample_{kind}", measure(root, data, directory) / count, "B")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="", help="where the packages were unpacked; default: installed")
    commands = parser.add_subparsers(dest="command", required=True)
    of_agents = commands.add_parser("agents")
    of_agents.add_argument("--seconds", type=int, default=60)
    of_agents.add_argument("--only", choices=AGENTS)
    commands.add_parser("hooks")
    of_stores = commands.add_parser("stores")
    of_stores.add_argument("host_series", help="written by bench_telemetry_store --record SECONDS FILE")
    of_stores.add_argument("--copies", type=int, default=10)
    options = parser.parse_args()
    if options.command == "agents":
        for name, measure in AGENTS.items():
            if options.only in (None, name):
                measure(options.root, options.seconds)
    elif options.command == "hooks":
        hooks(options.root)
    else:
        stores(options.root, options.host_series, options.copies)


if __name__ == "__main__":
    main()
