#include "controller/ctl/examples.h"

namespace proteus::ctl {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  proteusctl hosts                       what every host has, uses and is expected to need\n"
    "  proteusctl forecast web1 --plot        a VM's demand, past and predicted\n"
    "  proteusctl accuracy web1               how good its forecasts have been, by model and lead\n"
    "  proteusctl plan                        what the last cycle decided, and why\n"
    "  proteusctl explain A12                 one action: its reason as a sum, its alternatives, its life\n"
    "  proteusctl query cpu_run_time_ns --vm web1   a figure over the last hour\n"
    "  proteusctl record today.rec            cut the telemetry and the journal of this run into a file\n"
    "  proteusctl replay today.rec --diff     decide again from the file; anywhere, without a controller\n"
    "  proteusctl simulate planetlab --help   policies on a virtual cluster; likewise\n"
    "  proteusctl simulate cluster today.rec --policy none,proteus-rules   what they would have made of it\n"
    "  proteusctl policy check new.toml       is the file valid; with lines\n"
    "  proteusctl policy test new.toml --record today.rec    what it would have done\n\n"
    "Exit codes: 0 done; 1 the controller refused or failed; 2 wrong usage; 3 the controller cannot be reached,\n"
    "  is busy or cannot write its journal; 4 no such VM, host, action, decision or file, or (query, export) nothing "
    "was\n"
    "  measured of what was asked for; 5 replay --diff or policy diff found differences; 6 policy check found "
    "problems, or tune nothing better.";

/// What a command's own help ends with.
struct Examples {
  const char* command;
  const char* text;
};
constexpr Examples kExamples[] = {
    {"query",
     "Examples:\n"
     "  proteusctl query cpu_run_time_ns --vm web1 --from -6h\n"
     "  proteusctl query cpu_run_time_ns --vm web1 --vm web2 --across sum --by vm\n"
     "  proteusctl query run_queue_latency_ns --fn quantile --quantile 0.99 --top 5\n"
     "  proteusctl query memory_resident_bytes --fn max --across sum --by host --step 1m\n\n"
     "Gauges have mean, min, max, last and p95; counters rate, increase, and mean, min, max and p95 of the rate;\n"
     "histograms quantile, rate and increase. A step that is not over yet is left out of an increase; --json has it.\n"
     "Exit code 4: nothing was measured of what was asked for."},
    {"export",
     "Examples:\n"
     "  proteusctl export web1.csv --vm web1 --from -1d\n"
     "  proteusctl export - --kpi memory_resident_bytes --from -5m | head\n"
     "  proteusctl export day.arrow --format arrow --from -1d     a table for pandas, polars, DuckDB and R\n\n"
     "Exit code 4: nothing was measured of what was asked for; the file is there, without a value."},
    {"history",
     "Examples:\n"
     "  proteusctl history --vm web1 --since -1d          what was decided of a VM, done to it and said of it\n"
     "  proteusctl history --kind decision --from 2026-01-31 --to 2026-02-01\n"
     "  proteusctl history --all --host h2 --limit 1000   with commands and the agent's words\n\n"
     "Without --from or --to the newest 100,000 entries are looked at. A decision bears on the VMs and hosts that it\n"
     "acts on, not on those that it only looked at."},
    {"record",
     "Examples:\n"
     "  proteusctl record today.rec\n"
     "  proteusctl record hour.rec --from -1h       begins with the run (start or renewal) before that, as a replay "
     "must\n"
     "  proteusctl replay hour.rec --diff           decides again from it, anywhere"},
    {"replay",
     "Examples:\n"
     "  proteusctl replay today.rec                        what is decided\n"
     "  proteusctl replay today.rec --diff                 where that differs from the journal: exit code 5\n"
     "  proteusctl replay today.rec --policy new.toml --diff     what another policy would have done\n"
     "  proteusctl replay today.rec --speed 60             an hour in a minute"},
};

}  // namespace

void add_examples(CLI::App& app) {
  app.footer(kFooter);
  for (const Examples& own : kExamples) app.get_subcommand(own.command)->footer(own.text);
}

}  // namespace proteus::ctl
