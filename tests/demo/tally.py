"""What one pass of the schedule did to the guests: waiting, work, decisions and actions."""
from datetime import datetime

BUCKETS = 32
SATURATED = 0.97  # of a host's capacity
AHEAD_S = 20      # forecasts this old are set beside what came


def quantile_ns(histogram, level):
    """Quantile of a power-of-two histogram, linear within the bucket; None if it is empty. Bucket b: [2^b, 2^(b+1)) ns."""
    total = sum(histogram)
    if total == 0:
        return None
    rank = level * total
    for bucket, count in enumerate(histogram):
        if rank <= count:
            low = 0 if bucket == 0 else 2 ** bucket
            return low + (2 ** (bucket + 1) - low) * (rank / count)
        rank -= count
    return 2.0 ** BUCKETS


class Tally:
    def __init__(self, cluster, lab, scene):
        self.cluster = cluster
        self.lab = lab
        self.scene = scene
        self.names = [guest["name"] for guest in scene.GUESTS]
        self.rows = []           # one per second: what the screen shows
        self.events = []         # (elapsed seconds, text), newest last
        self.saturated_at = {}   # host -> elapsed seconds at which its measured use had reached its capacity for 2 s
        self._full_before = {}
        self.action_times = []   # elapsed seconds at which an agent began to carry one out
        self.replays = []
        self._seen = {}
        self._past_forecasts = {}
        self._executed = set()

    @property
    def acted(self):
        return any(action["state"] == "verified" for action in self.final_actions)

    def begin(self):
        for name in self.names:
            self.lab.agent(name).reset()
        self._histograms = {name: vm["run_queue_latency"] for name, vm in self.cluster.vms().items()}

    def observe(self, elapsed):
        hosts = self.cluster.hosts()
        # Between two hosts a VM may be listed by neither for a moment; what was known of it stands.
        vms = {**(self.rows[-1]["vms"] if self.rows else {}), **self.cluster.vms()}
        for name, host in hosts.items():
            # Two seconds in a row: a migration's own copying is over sooner and is no saturation by guests.
            full = host["cpu"]["utilisation"] >= SATURATED
            if full and self._full_before.get(name):
                self.saturated_at.setdefault(name, elapsed)
            self._full_before[name] = full
        outlook = self.cluster.get("/v1/vms/web/forecast?resource=cpu")
        self._past_forecasts[round(elapsed)] = outlook["steps"][int(AHEAD_S / outlook["step_s"]) - 1]
        self.rows.append({"hosts": hosts, "vms": vms, "said": self._past_forecasts.get(round(elapsed) - AHEAD_S)})
        self._follow_actions(elapsed, vms)

    def _follow_actions(self, elapsed, vms):
        names = {vm["id"]: name for name, vm in vms.items()}
        for action in self.cluster.actions():
            key = action["id"]
            known = self._seen.get(key)
            vm = names.get(action["vm"], action["vm"])
            what = describe(action)
            if known is None:
                self.events.append((elapsed, f"decision D{action['decision']}: {vm}: {what}", action["reason"]))
            if action["state"] != known and action["state"] in ("verified", "failed", "reverted", "expired"):
                self.events.append((elapsed, f"A{key} {vm}: {what}: {action['state']}{timing(action)}", action["message"]))
            if action["executed_at"] and key not in self._executed:
                self._executed.add(key)
                self.action_times.append(elapsed)
            self._seen[key] = action["state"]

    def end(self):
        vms = self.cluster.vms()
        self.work = {name: self.lab.stat(name)["work"] for name in self.names}
        self.waits = {name: [now - then for now, then in zip(vms[name]["run_queue_latency"], self._histograms[name])]
                      for name in self.names}
        self.final_actions = self.cluster.actions()
        self.places = {name: self.lab.where(name) for name in self.names}


def describe(action):
    operation = action["operation"]
    kind = operation["kind"]
    if kind == "set_cpu_quota":
        share = "unlimited" if operation["quota_us"] < 0 else f"{100 * operation['quota_us'] / operation['period_us']:.0f} %"
        return f"reshape, CPU quota {share}"
    if kind == "set_vcpus":
        return f"reshape, {operation['count']} vCPUs"
    if kind == "set_cpu_shares":
        return f"reshape, CPU shares {operation['shares']}"
    if kind == "set_memory":
        return f"reshape, memory {operation['bytes'] / 2 ** 20:.0f} MiB"
    return f"migrate live {action['host']} → {operation['target']}"


def seconds_between(earlier, later):
    return (datetime.fromisoformat(later.replace("Z", "+00:00")) -
            datetime.fromisoformat(earlier.replace("Z", "+00:00"))).total_seconds()


def timing(action):
    text = ""
    if action["executed_at"]:
        awaited = " and ".join(f"A{number}" for number in action["prerequisites"])
        cause = f"{awaited}, which it waited for, was done" if awaited else "the tick that asked for it"
        text += f", begun {seconds_between(action['trigger_time'], action['executed_at']):.2f} s after {cause}"
        if action["ended_at"]:
            text += f", done in {seconds_between(action['executed_at'], action['ended_at']):.2f} s"
    if "migration" in action:
        text += f", downtime {action['migration']['downtime_ms']} ms"
    return text


def _milliseconds(ns):
    return "-" if ns is None else f"{ns / 1e6:.2f}"


def final_table(without, with_proteus, scene):
    lines = ["", "Run-queue wait per dispatch (kernel's histogram) and work done, both runs", "",
             f"{'guest':<8}{'p50 wait, ms':>24}{'p99 wait, ms':>26}{'work done':>22}{'of it demanded':>20}",
             f"{'':<8}{'without':>12}{'with':>12}{'without':>14}{'with':>12}{'without':>12}{'with':>10}{'without':>11}{'with':>9}"]
    for name in without.names:
        before, after = without.waits[name], with_proteus.waits[name]
        done = [tally.work[name]["done"] for tally in (without, with_proteus)]
        share = [100.0 * tally.work[name]["done"] / max(1, tally.work[name]["demanded"]) for tally in (without, with_proteus)]
        lines.append(f"{name:<8}{_milliseconds(quantile_ns(before, .5)):>12}{_milliseconds(quantile_ns(after, .5)):>12}"
                     f"{_milliseconds(quantile_ns(before, .99)):>14}{_milliseconds(quantile_ns(after, .99)):>12}"
                     f"{done[0]:>12}{done[1]:>10}{share[0]:>10.1f}%{share[1]:>8.1f}%")
    suffering = sufferers(without)
    worst = combined(without, suffering), combined(with_proteus, suffering)
    if suffering and worst[0] and worst[1]:
        lines += ["", f"guests that suffer without Proteus: {', '.join(suffering)}; their p99 wait together falls from "
                  f"{_milliseconds(worst[0])} ms to {_milliseconds(worst[1])} ms, by {worst[0] / worst[1]:.1f}×; "
                  f"their work rises from {sum(without.work[n]['done'] for n in suffering)} to "
                  f"{sum(with_proteus.work[n]['done'] for n in suffering)} items"]
    saturated = without.saturated_at.get("h1")
    if with_proteus.action_times:
        times = ", ".join(f"{t:.0f} s" for t in with_proteus.action_times)
        lines.append(f"actions began at {times}; " + (f"h1 was measured saturated without Proteus at {saturated:.0f} s" if saturated
                     else "h1 was never measured saturated without Proteus") +
                     (f", with Proteus at {with_proteus.saturated_at['h1']:.0f} s" if "h1" in with_proteus.saturated_at else ", with Proteus never"))
    lines += ["", "Actions taken"]
    vms = {vm["id"]: name for name, vm in with_proteus.rows[-1]["vms"].items()}
    for action in with_proteus.final_actions:
        lines.append(f"  A{action['id']} {vms.get(action['vm'], action['vm'])}: {describe(action)}: {action['state']}{timing(action)}")
    lines.append("  places at the end: " + ", ".join(f"{name} on {'+'.join(places)}" for name, places in with_proteus.places.items()))
    return "\n".join(lines)


def sufferers(tally):
    """Guests whose p99 wait exceeds 10 ms: more than taking turns with a neighbour costs, and what a request notices."""
    return [name for name in tally.names if (quantile_ns(tally.waits[name], .99) or 0) > 10e6]


def combined(tally, names):
    return quantile_ns([sum(tally.waits[name][bucket] for name in names) for bucket in range(BUCKETS)], .99) if names else None
