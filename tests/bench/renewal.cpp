// What it takes to renew a controller's run: hosts with ten VMs each, three days of history in each series, a frame of
// each host a second. JSON lines. Usage: bench_renewal [HOSTS [SECONDS]]; default 100 and 900: recorded seconds before
// the renewal begins.

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "common/log.h"
#include "common/wire/telemetry_codec.h"
#include "controller/controller.h"
#include "controller/forecast/global/shipped_weights.h"
#include "controller/forecast_store.h"
#include "tests/bench/cluster_stream.h"
#include "tests/bench/series_bench.h"
#include "tests/temporary_directory.h"

namespace proteus::bench {
namespace {

using std::chrono::seconds;

const Timestamp kBegin = from_unix_ns(1'700'000'000'000'000'000);

class SetClock final : public Clock {
 public:
  Timestamp now() const override { return from_unix_ns(now_ns_.load()); }
  void set(Timestamp now) { now_ns_ = to_unix_ns(now); }

 private:
  std::atomic<std::int64_t> now_ns_ = to_unix_ns(kBegin);
};

class NoLink final : public ingest::CommandLink {
 public:
  bool send(Command) override { return true; }
  void acknowledge(const Update&) override {}
};

VmId vm_id(int host, int vm) {
  return VmId(vm_uuid(static_cast<std::uint32_t>(host), static_cast<std::uint32_t>(vm)));
}

/// Every series as it is after all its history.
void store_history(store::Store& store, const forecast::EngineOptions& options, int hosts) {
  forecast::EnginePool pool(options, 2);
  const VmId like = vm_id(0, 0);
  for (int step = options.history_steps; step > 0; --step) {
    const Timestamp time = kBegin - step * options.step;
    const double day = std::sin(2 * M_PI * static_cast<double>(step) / 1440);
    const double ripple = std::sin(step * 1.7) * 0.1;
    pool.observe(like, forecast::Resource::kCpu, time, 1 + 0.5 * day + ripple);
    pool.observe(like, forecast::Resource::kMemory, time, 1e9 * (2 + 0.2 * day + ripple));
    pool.begin_round();
    pool.take(pool.rounds_begun());
  }
  std::vector<forecast::SeriesState> states;
  for (std::size_t shard = 0; shard < forecast::EnginePool::shard_count(); ++shard) {
    for (forecast::SeriesState& state : pool.save(shard)) states.push_back(std::move(state));
  }
  std::size_t bytes = 0;
  for (const forecast::SeriesState& state : states) bytes += state.bytes.size();
  report("series_state", static_cast<double>(bytes) / static_cast<double>(states.size()) / 1024, "KiB");
  forecast::EnginePool all(options, 2);
  for (int h = 0; h < hosts; ++h) {
    for (int vm = 0; vm < ClusterStream::kVmsPerHost; ++vm) {
      for (forecast::SeriesState state : states) {
        state.key.vm = vm_id(h, vm);
        all.restore(std::move(state));
      }
    }
    all.begin_round();
    all.take(all.rounds_begun());
  }
  for (std::size_t shard = 0; shard < forecast::EnginePool::shard_count(); ++shard) {
    must(controller::save_forecasts(store, all, shard, kBegin));
  }
}

int run(int host_count, int second_count) {
  must(log::init("bench", "info"));
  const TemporaryDirectory directory;
  auto store = store::Store::open({.directory = directory / "store"});
  if (!store) must(store.error());
  controller::ControllerOptions options;
  options.id = "bench";
  options.policy_toml = "automation = \"recommend\"\n";
  options.pipeline.executor.controller = "bench";
  options.pipeline.view.forecast.networks = forecast::global::shipped_weights();
  options.pipeline.view.forecast_workers = 2;
  options.raw_retention = 4 * seconds(second_count);
  options.gather = seconds(1);
  store_history(**store, options.pipeline.view.forecast, host_count);

  SetClock clock;
  controller::Queues queues;
  auto policy = ham::parse_policy(options.policy_toml, "policy");
  auto controller = controller::Controller::create(options, std::move(*policy), **store, clock, queues);
  if (!controller) must(controller.error());
  NoLink link;
  std::thread pipeline([&] {
    (*controller)->run({link, [] { return ingest::IngestStatus(); }, [] { return std::uint64_t{0}; }});
  });

  ClusterStream cluster(host_count);
  std::vector<wire::TelemetryReader> readers(static_cast<std::size_t>(host_count));
  double longest_ms = 0;
  std::chrono::steady_clock::time_point begun{};
  for (int second = 1;; ++second) {
    const Timestamp now = kBegin + seconds(second);
    const std::uint64_t cycle = (*controller)->snapshot()->cycle;
    clock.set(now);
    std::vector<store::RawMessage> messages = cluster.pass(now);
    must((*store)->append(messages));
    const auto before = std::chrono::steady_clock::now();
    for (store::RawMessage& message : messages) {
      const auto h = static_cast<std::size_t>(std::stoi(message.host.value.substr(1)));
      auto sample = readers[h].read(message.host, message.bytes);
      if (!sample) must(sample.error());
      if (*sample) queues.samples.push({message.lsn, message.received, message.host, std::move(**sample)});
    }
    while ((*controller)->snapshot()->cycle == cycle) std::this_thread::sleep_for(std::chrono::microseconds(200));
    const auto after = std::chrono::steady_clock::now();
    if ((*controller)->snapshot()->run_begun_at > kBegin) break;
    if (second < second_count) continue;
    // From here on in real time, so that it is seen what waits for what.
    if (begun == std::chrono::steady_clock::time_point{}) begun = after;
    longest_ms = std::max(longest_ms, std::chrono::duration<double, std::milli>(after - before).count());
    std::this_thread::sleep_until(before + seconds(1));
  }
  report("renewal_s", std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(), "s");
  report("longest_cycle_meanwhile", longest_ms, "ms");
  queues.requests.close();
  pipeline.join();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace proteus::bench

int main(int argc, char** argv) {
  const int hosts = argc > 1 ? std::atoi(argv[1]) : 100;
  const int seconds = argc > 2 ? std::atoi(argv[2]) : 900;
  return hosts > 0 && seconds > 0 ? proteus::bench::run(hosts, seconds) : EXIT_FAILURE;
}
