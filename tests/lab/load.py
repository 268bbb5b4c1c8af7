"""The other end of the load agent's line protocol, and the files that schedules come from."""
import csv
import json
import socket

from .names import LOAD_PORT
from .shell import LabError

COLUMNS = ["t_seconds", "cpu_percent", "memory_mib", "disk_mibs", "net_mibs", "dirty_mibs", "disk_read_mibs"]


class LoadAgent:
    """One request at a time to the agent inside a guest; a connection each, so that nothing is held across a migration."""

    def __init__(self, guest, address):
        self.guest = guest
        self.address = address

    def ask(self, text, timeout_s=10):
        try:
            with socket.create_connection((self.address, LOAD_PORT), timeout=timeout_s) as link:
                link.sendall(text.encode() + b"\n")
                with link.makefile() as answers:
                    answer = answers.readline().strip()
        except OSError as error:
            raise LabError(f"guest {self.guest} does not answer at {self.address}: {error}") from error
        if not answer or answer.startswith("error"):
            raise LabError(f"guest {self.guest}: {answer[6:] or 'no answer'}")
        return answer

    def alive(self):
        try:
            return self.ask("ping", timeout_s=0.5) == "ok"
        except LabError:
            return False

    def stat(self):
        return json.loads(self.ask("stat"))

    def reset(self):
        self.ask("reset")

    def load(self, **demand):
        """demand: cpu (percent), memory (MiB), dirty, disk, disk_read, net (MiB/s); what is absent stays as it is."""
        self.ask("load " + " ".join(f"{name}={value:g}" for name, value in demand.items() if value is not None))

    def schedule(self, rows, linear=False, repeat=False, speed=1.0, delay_s=0.0):
        """rows: tuples in the order of COLUMNS, times rising. An empty list ends the schedule."""
        lines = [f"schedule {len(rows)} {'linear' if linear else 'steps'} {'repeat' if repeat else 'once'} {speed:g} {delay_s:g}"]
        lines += [" ".join(f"{value:g}" for value in row) for row in rows]
        self.ask("\n".join(lines), timeout_s=30)


def read_schedule(file):
    """Rows of a CSV file with a header of names out of COLUMNS; t_seconds is required, an absent column is 0."""
    reader = csv.DictReader(line for line in file if line.strip() and not line.startswith("#"))
    header = [name.strip() for name in reader.fieldnames or []]
    unknown = [name for name in header if name not in COLUMNS]
    if "t_seconds" not in header or unknown:
        raise LabError(f"schedule: columns are {','.join(COLUMNS)}, t_seconds required; got {','.join(header) or 'nothing'}")
    reader.fieldnames = header
    rows = []
    for number, record in enumerate(reader, 1):
        try:
            rows.append(tuple(float(record.get(name) or 0) for name in COLUMNS))
        except ValueError as error:
            raise LabError(f"schedule: row {number}: {error}") from error
        if len(rows) > 1 and rows[-1][0] <= rows[-2][0]:
            raise LabError(f"schedule: row {number}: t_seconds does not rise")
    if not rows:
        raise LabError("schedule: no rows")
    return rows


def read_trace(file, column=None, step_s=None, peak_percent=None):
    """A recorded CPU trace as schedule rows.

    file: CSV with or without a header, or one figure a line. column: name or number (from 0); the last one if absent.
    step_s: seconds between figures; absent: the first column holds the time. peak_percent: scales the highest figure to
    this many percent of one CPU; absent: the figures are percent already.
    """
    table = [row for row in csv.reader(line for line in file if line.strip() and not line.startswith("#"))]
    if not table:
        raise LabError("trace: no rows")
    header = []
    try:
        [float(cell) for cell in table[0]]
    except ValueError:
        header, table = [cell.strip() for cell in table[0]], table[1:]
    if column is None:
        index = -1
    elif column in header:
        index = header.index(column)
    elif column.isdigit():
        index = int(column)
    else:
        raise LabError(f"trace: no column {column!r}; there are {', '.join(header) or 'only numbers'}")
    try:
        values = [float(row[index]) for row in table]
        times = [number * step_s for number in range(len(table))] if step_s else [float(row[0]) for row in table]
    except (ValueError, IndexError) as error:
        raise LabError(f"trace: {error}") from error
    scale = peak_percent / max(values) if peak_percent and max(values) > 0 else 1
    rest = (0.0,) * (len(COLUMNS) - 2)
    return [(time - times[0], max(0.0, value * scale), *rest) for time, value in zip(times, values)]
