// Replay against real time: 100 hosts with 1,000 VMs between them, a frame of each host and a decision each second, the
// default policy, every agent ready to take commands. JSON lines; CPU time of all threads, forecasting included.
// Usage: bench_telemetry_replay [SECONDS [hash]]   recorded seconds; default 900: hosts that have just begun are
// profiled anew each second, and a shorter recording measures that. hash: tells, instead of the time, a hash of all
// that the replay put out.

#include <xxhash.h>

#include <cstdlib>
#include <string_view>

#include "controller/pipeline_options.h"
#include "controller/replay/recording.h"
#include "controller/replay/replayer.h"
#include "tests/bench/cluster_stream.h"
#include "tests/bench/series_bench.h"
#include "tests/temporary_directory.h"

namespace proteus::bench {
namespace {

constexpr int kHosts = 100;
const Timestamp kBegin = from_unix_ns(1'700'000'000'000'000'000);

/// A store as a controller leaves it after so many seconds, its decisions aside.
void record(store::Store& store, int seconds) {
  ClusterStream cluster(kHosts);
  std::vector<store::JournalEntry> begin;
  store::Started started;
  started.version = PROTEUS_VERSION;
  started.options_toml = controller::pipeline_options_toml({});
  begin.push_back({0, kBegin, started});
  for (int h = 0; h < kHosts; ++h)
    begin.push_back({0, kBegin, store::AgentPresence{HostId(fmt::format("h{}", h)), true, ""}});
  must(store.append(begin));
  for (int second = 1; second <= seconds; ++second) {
    const Timestamp now = kBegin + std::chrono::seconds(second);
    std::vector<store::RawMessage> messages = cluster.pass(now);
    must(store.append(messages));
    std::vector<store::JournalEntry> cycle;
    const auto number = static_cast<std::uint64_t>(second);
    cycle.push_back({0, now, store::Cycle{number, number, messages.back().lsn}});
    must(store.append(cycle));
  }
}

int run(int seconds, bool hashed) {
  const TemporaryDirectory directory;
  {
    auto store = store::Store::open({.directory = directory / "store"});
    if (!store) must(store.error());
    record(**store, seconds);
    const auto written = replay::write_recording(
        **store, {.from = {}, .to = kBegin + std::chrono::seconds(seconds + 1), .hosts = {}}, directory / "recording");
    if (!written) must(written.error());
  }
  XXH64_hash_t hash = 0;
  replay::ReplayOptions options;
  if (hashed) {
    options.output = [&hash](const store::JournalEntry& entry) {
      const std::string bytes = store::encode(entry);
      hash = XXH64(bytes.data(), bytes.size(), hash);
    };
  }
  replay::Replayer replayer(options);
  Status replayed;
  const double cpu = process_cpu_s();
  const auto read = replay::read_recording(
      directory / "recording",
      {.raw = [&](const store::RawMessage& m) { return (replayed = replayer.on_raw(m)).has_value(); },
       .journal = [&](const store::JournalEntry& e) { return (replayed = replayer.on_journal(e)).has_value(); }});
  const double spent = process_cpu_s() - cpu;
  if (!read) must(read.error());
  must(replayed);
  if (replayer.cycles() != static_cast<std::uint64_t>(seconds)) must(Error{ErrorCode::kInternal, "cycles are missing"});
  if (hashed) {
    fmt::print("{:016x} {} decisions, {} actions\n", hash, replayer.decisions(), replayer.actions());
    return EXIT_SUCCESS;
  }
  report("replay_speedup", seconds / spent, "x");
  report("replay_ms_per_cycle", 1e3 * spent / seconds, "ms");
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace proteus::bench

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 900;
  const bool hashed = argc > 2 && std::string_view(argv[2]) == "hash";
  return seconds > 0 ? proteus::bench::run(seconds, hashed) : EXIT_FAILURE;
}
