"""What the audience sees: a line per two seconds, decisions and actions as they happen. Works in a terminal and in a log."""
import textwrap

WIDTH = 118
BOLD, DIM, GREEN, RED, YELLOW, OFF = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"


def bar(share, mark, width=14):
    """Filled to `share` of 1, with a mark at `mark`."""
    cells = ["█" if index < round(min(share, 1.0) * width) else "░" for index in range(width)]
    cells[min(width - 1, max(0, round(mark * width)))] = "│"
    return "".join(cells)


class Screen:
    def __init__(self, plain):
        self.plain = plain
        self._shown_events = 0
        self._last_row = -10.0

    def _paint(self, code, text):
        return text if self.plain else f"{code}{text}{OFF}"

    def title(self, text):
        self._shown_events = 0
        self._last_row = -10.0
        print(f"\n{self._paint(BOLD, '== ' + text)}", flush=True)

    def note(self, text):
        for line in str(text).splitlines():
            print(self._paint(DIM, "\n".join(textwrap.wrap(line, WIDTH, initial_indent="   ", subsequent_indent="   "))), flush=True)

    def frame(self, elapsed, tally):
        for at, headline, reason in tally.events[self._shown_events:]:
            colour = GREEN if "verified" in headline else RED if "failed" in headline or "reverted" in headline else YELLOW
            print(self._paint(colour, f"   {at:4.0f} s  ▶ {headline}"))
            if reason:
                print("\n".join(textwrap.wrap(reason, WIDTH, initial_indent=" " * 12, subsequent_indent=" " * 12)))
        self._shown_events = len(tally.events)
        if elapsed - self._last_row < 1.9:
            return
        self._last_row = elapsed
        row = tally.rows[-1]
        parts = []
        for name, host in sorted(row["hosts"].items()):
            cpu = host["cpu"]
            mark = cpu["forecast_p90_cores"] / cpu["capacity_cores"] if cpu["capacity_cores"] else 0
            parts.append(f"{name} {bar(cpu['utilisation'], mark)} {cpu['used_cores']:.2f}→{cpu['forecast_p90_cores']:.2f}/{cpu['capacity_cores']:.2f}")
        web = row["vms"]["web"]
        said = f" (20 s ago p50 said {row['said']['p50']:.2f}, p90 {row['said']['p90']:.2f})" if row["said"] else ""
        wait = max(vm["cpu"]["run_queue_wait_ratio"] or 0 for vm in row["vms"].values())
        if elapsed < 2:
            print(self._paint(DIM, "           host: CPU used→p90 ahead/capacity, the mark is the forecast; web: demand; waiting: worst guest's wait per run"))
        print(f"   {elapsed:4.0f} s  {'  '.join(parts)}  web {web['cpu']['demand_cores'] or 0:.2f}{said}  waiting {wait:.2f}", flush=True)

