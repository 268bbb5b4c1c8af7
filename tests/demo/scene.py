"""The demonstration's cast and play: hosts, guests, their load over time, the policy. Nothing here knows of Proteus' inside."""

HOST_CPUS = [0.9, 1.2]
HOST_MEMORY_MIB = [1536, 1536]

# web begins with a CPU quota of 40 % and will want more; batch and api share its host. Whichever of the three leaves, it fits
# elsewhere.
GUESTS = [
    {"name": "web", "host": "h1", "vcpus": 1, "max_vcpus": 2, "memory_mib": 128, "quota_percent": 40},
    {"name": "api", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
    {"name": "batch", "host": "h1", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
    {"name": "db", "host": "h2", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
    {"name": "cache", "host": "h2", "vcpus": 1, "max_vcpus": 1, "memory_mib": 128},
]

FLAT = {"web": 10, "api": 22, "batch": 28, "db": 5, "cache": 3}  # percent of a CPU
WEB_PEAK = 70
LEAD_S = 5     # flat load
RAMP_S = 45     # web's load rises
LENGTH_S = 100  # of one pass

STORY = (f"web's load stays at {FLAT['web']} % of a CPU for {LEAD_S} s, then rises to {WEB_PEAK} % within {RAMP_S} s and stays "
         f"there; api and batch on the same host want {FLAT['api']} % and {FLAT['batch']} % all along, db and cache on the other "
         f"{FLAT['db']} % and {FLAT['cache']} %. At the end h1 is asked for "
         f"{(WEB_PEAK + FLAT['api'] + FLAT['batch']) / 100:.2f} of its {HOST_CPUS[0]:.2f} CPUs, and web has a quota of 40 %.")


def schedules():
    """Guest name to rows (t_seconds, cpu_percent, memory_mib and the rest), linear between them."""
    end = LENGTH_S + 60
    points = {name: [(0, percent), (end, percent)] for name, percent in FLAT.items()}
    points["web"] = [(0, FLAT["web"]), (LEAD_S, FLAT["web"]), (LEAD_S + RAMP_S, WEB_PEAK), (end, WEB_PEAK)]
    return {name: [(t, percent, 16, 0, 0, 0, 0) for t, percent in rows] for name, rows in points.items()}


# Forecasts of a minute in steps of two seconds, for a play that lasts two minutes; the defaults look half an hour ahead.
OPTIONS = """
[forecast]
step = "2s"
horizon_steps = 15
history_steps = 600
season = "1h"
min_history_steps = 5
refit_every_steps = 5
[view]
staleness = "5s"
"""


def policy(automation):
    return f"""
name = "demo"
automation = "{automation}"
[limits]
cooldown = "20s"
payback = "2m"
gain_min = 0.15
cpu_headroom = 0.1
"""
