// The store's series: bytes on disk, the cost of making pages, scans, queries. JSON lines; CPU time, since other
// programs run on the machine. Usage: bench_telemetry_store [HOST_SERIES [bytes|query|scan [HOURS]]]   a file of
// recorded host data (host_series.h); without it this machine is recorded for eleven minutes first.
// bench_telemetry_store --record SECONDS FILE only records.
// The store lies in the temporary directory (TMPDIR).

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

#include "controller/store/query.h"
#include "controller/store/rocks_store.h"
#include "tests/bench/host_series.h"
#include "tests/bench/series_bench.h"
#include "tests/temporary_directory.h"

namespace proteus::bench {
namespace {

using store::RocksStore;

constexpr int kRecordSeconds = 660;
const Timestamp kBegin = from_unix_ns(1'699'999'200'000'000'000);  // a full hour

// Copies of the recording are hosts of their own, each begins a while later in it.
constexpr int kCopies = 10;
constexpr int kCopyShift = 7;
// In the mix, constant series are at most so many of all, as on the host that the peers were measured with (400 of
// 1,096): a program that reads more files that never change should not look better for it.
constexpr double kConstantShareMax = 400.0 / 1096.0;
constexpr double kActiveShareMin = 0.05;  // of seconds in which an active series changes

double changing_share(const HostSeries& series) {
  std::size_t changes = 0;
  for (std::size_t i = 1; i < series.rows.size(); ++i) changes += series.rows[i] != series.rows[i - 1];
  return static_cast<double>(changes) / static_cast<double>(series.rows.size());
}

std::vector<HostSeries> mix_of(const std::vector<HostSeries>& all) {
  const auto changing =
      std::count_if(all.begin(), all.end(), [](const HostSeries& s) { return changing_share(s) > 0; });
  auto constants =
      static_cast<std::int64_t>(static_cast<double>(changing) * kConstantShareMax / (1 - kConstantShareMax));
  std::vector<HostSeries> mix;
  for (const HostSeries& series : all) {
    if (changing_share(series) == 0 && constants-- <= 0) continue;
    mix.push_back(series);
  }
  return mix;
}

std::vector<HostSeries> active_of(const std::vector<HostSeries>& all) {
  std::vector<HostSeries> active;
  std::copy_if(all.begin(), all.end(), std::back_inserter(active),
               [](const HostSeries& s) { return changing_share(s) >= kActiveShareMin; });
  return active;
}

/// A KPI of VMs for each file, so that a page holds what is alike; times keep the quantum that the table gives them.
Kpi kpi_of(const HostSeries& series) {
  const auto in = [&](const char* part) { return series.name.find(part) != std::string::npos; };
  const auto ends = [&](const char* part) { return series.name.ends_with(part); };
  if (in("/schedstat:")) {
    return ends(":1") ? Kpi::kEmulatorTimeNs : ends(":2") ? Kpi::kCpuThrottledTimeNs : Kpi::kVmVcpusCount;
  }
  if (in("/statm:")) return Kpi::kMemoryResidentBytes;
  if (in("/vmstat")) return Kpi::kPageFaultsMinorCount;
  if (in("/stat")) return Kpi::kPageFaultsMajorCount;
  if (in("/meminfo")) return Kpi::kGuestMemoryUsableBytes;
  if (in("/interrupts")) return Kpi::kVmState;
  if (in("/softirqs")) return Kpi::kVmVcpusMaxCount;
  if (in("/diskstats")) return Kpi::kVmMemoryBytes;
  if (in("/net/dev")) return Kpi::kVmMemoryMaxBytes;
  if (in("/net/")) return Kpi::kVmCpuShares;
  if (in("/pressure/")) return Kpi::kVmCpuQuotaUs;
  return Kpi::kBalloonBytes;
}

std::shared_ptr<const Catalog> catalog_of(const std::vector<HostSeries>& series, std::uint32_t host) {
  auto catalog = std::make_shared<Catalog>();
  catalog->host = HostId(fmt::format("host-{:03}", host));
  catalog->boot_id = 1;
  catalog->version = 1;
  catalog->entities.push_back({EntityKind::kHost, kNoParent, catalog->host.value, "", {}});
  for (std::uint32_t i = 0; i < series.size(); ++i) {
    catalog->entities.push_back({EntityKind::kVm, 0, fmt::format("vm-{}", i), vm_uuid(host, i), {}});
    catalog->series.push_back({i + 1, kpi_of(series[i]), 0});
  }
  return catalog;
}

std::unique_ptr<RocksStore> open(const std::string& directory) {
  store::StoreOptions options{.directory = directory};
  options.raw_retention = std::chrono::minutes(1);
  options.reserve_bytes = 0;
  auto opened = RocksStore::open(options);
  if (!opened) {
    fmt::print(stderr, "{}\n", opened.error().message);
    std::exit(EXIT_FAILURE);
  }
  return std::move(*opened);
}

/// Feeds `series` as kCopies hosts and reports what pages, catalogs and index take on disk.
void measure_bytes(const std::vector<HostSeries>& series, const char* suffix) {
  const TemporaryDirectory directory;
  auto store = open(directory / "store");
  const int ticks = static_cast<int>(series.front().rows.size()) - (kCopies - 1) * kCopyShift;
  std::uint64_t samples = 0;
  const double cpu = process_cpu_s();
  for (std::uint32_t copy = 0; copy < kCopies; ++copy) {
    HostStream stream(catalog_of(series, copy));
    std::vector<store::RawMessage> messages;
    for (int tick = 0; tick < ticks; ++tick) {
      for (std::size_t i = 0; i < series.size(); ++i) {
        const auto& value = series[i].rows[static_cast<std::size_t>(tick) + copy * kCopyShift];
        stream.values()[i] = value.value_or(0);
        stream.present()[i] = value ? 1 : 0;
        samples += value ? 1 : 0;
      }
      stream.tick(kBegin + std::chrono::seconds(tick), messages);
      if (messages.size() < 256 && tick + 1 < ticks) continue;
      must(store->append(messages));
      messages.clear();
    }
  }
  must(store->expire(kBegin + std::chrono::hours(3)));  // all is sealed, joined and rolled up
  const auto bytes = store->compacted_bytes();
  if (!bytes) must(bytes.error());
  const auto count = static_cast<double>(samples);
  report(fmt::format("bytes_per_sample_{}", suffix).c_str(), static_cast<double>(bytes->pages) / count, "B");
  report(fmt::format("rollup_bytes_per_sample_{}", suffix).c_str(), static_cast<double>(bytes->rollups) / count, "B");
  report(fmt::format("store_samples_per_s_core_{}", suffix).c_str(), count / (process_cpu_s() - cpu),
         "samples/s, encoding of frames included");
  report(fmt::format("series_{}", suffix).c_str(), static_cast<double>(series.size()), "series, each of ten hosts");
}

/// 10,000 active series, `hours` of seconds; sum(rate) by steps of ten seconds, so that every difference is unpacked.
void measure_scan(const std::vector<HostSeries>& recorded, int hours) {
  std::vector<HostSeries> counters;
  for (const HostSeries& series : active_of(recorded)) {
    const bool grows = std::is_sorted(series.rows.begin(), series.rows.end());
    if (grows) counters.push_back(series);
  }
  if (counters.empty()) return;
  constexpr std::uint32_t kHosts = 10;
  constexpr std::uint32_t kSeriesPerHost = 1000;
  const TemporaryDirectory directory;
  auto store = open(directory / "store");
  std::uint64_t samples = 0;
  for (std::uint32_t host = 0; host < kHosts; ++host) {
    auto catalog = std::make_shared<Catalog>();
    catalog->host = HostId(fmt::format("host-{:03}", host));
    catalog->boot_id = 1;
    catalog->version = 1;
    catalog->entities.push_back({EntityKind::kHost, kNoParent, catalog->host.value, "", {}});
    for (std::uint32_t i = 0; i < kSeriesPerHost; ++i) {
      catalog->entities.push_back({EntityKind::kVm, 0, fmt::format("vm-{}", i), vm_uuid(host, i), {}});
      catalog->series.push_back({i + 1, Kpi::kPageFaultsMinorCount, 0});
    }
    HostStream stream(catalog);
    std::vector<store::RawMessage> messages;
    const int ticks = hours * 3600;
    for (int tick = 0; tick < ticks; ++tick) {
      for (std::uint32_t i = 0; i < kSeriesPerHost; ++i) {
        // A counter's recorded steps, over and over, from a place of its own.
        const auto& rows = counters[(host * 7 + i) % counters.size()].rows;
        const std::size_t at = (static_cast<std::size_t>(tick) + i * 31) % (rows.size() - 1);
        stream.values()[i] += rows[at + 1].value_or(0) - rows[at].value_or(0);
      }
      stream.tick(kBegin + std::chrono::seconds(tick), messages);
      samples += kSeriesPerHost;
      if (messages.size() < 256 && tick + 1 < ticks) continue;
      must(store->append(messages));
      messages.clear();
    }
    must(store->write_pages());
  }
  must(store->expire(kBegin + std::chrono::hours(hours + 1)));

  for (const auto& [name, step] : {std::pair("scan_samples_per_s_core", std::chrono::seconds(10)),
                                   {"scan_rolled_up_samples_per_s_core", std::chrono::seconds(60)}}) {
    store::Query query;
    query.selector.kpi = Kpi::kPageFaultsMinorCount;
    query.from = kBegin;
    query.to = kBegin + std::chrono::hours(hours);
    query.step = step;
    query.function = store::Function::kRate;
    query.across = store::Across::kSum;
    double best = 1e9;
    double sum = 0;
    for (int round = 0; round < 3; ++round) {
      const double cpu = thread_cpu_s();
      must(store::run_query(*store->series(), query, [&](const store::QueryResult& line) {
        for (const auto& point : line.points) sum += point.value_or(0);
        return true;
      }));
      best = std::min(best, thread_cpu_s() - cpu);
    }
    if (sum <= 0) must(Error{ErrorCode::kInternal, "nothing was summed"});
    report(name, static_cast<double>(samples) / best, "samples/s");
  }
}

/// 100 hosts with 1,000 series each, a day of minutes; one VM's CPU time by the minute.
void measure_query() {
  constexpr std::uint32_t kHosts = 100;
  constexpr std::uint32_t kVms = 250;
  constexpr int kMinutes = 24 * 60;
  const TemporaryDirectory directory;
  auto store = open(directory / "store");
  std::mt19937_64 random(1);
  for (std::uint32_t host = 0; host < kHosts; ++host) {
    auto catalog = std::make_shared<Catalog>();
    catalog->host = HostId(fmt::format("host-{:03}", host));
    catalog->boot_id = 1;
    catalog->version = 1;
    catalog->entities.push_back({EntityKind::kHost, kNoParent, catalog->host.value, "", {}});
    for (std::uint32_t i = 0; i < kVms; ++i) {
      catalog->entities.push_back({EntityKind::kVm, 0, fmt::format("vm-{}", host * kVms + i), vm_uuid(host, i), {}});
      for (const Kpi kpi :
           {Kpi::kEmulatorTimeNs, Kpi::kCpuThrottledTimeNs, Kpi::kMemoryResidentBytes, Kpi::kPageFaultsMinorCount}) {
        catalog->series.push_back({i + 1, kpi, 0});
      }
    }
    HostStream stream(catalog);
    std::vector<store::RawMessage> messages;
    for (int minute = 0; minute < kMinutes; ++minute) {
      for (std::int64_t& value : stream.values()) value += static_cast<std::int64_t>(random() % 60'000'000) * 1000;
      stream.tick(kBegin + std::chrono::minutes(minute), messages);
      if (messages.size() < 256 && minute + 1 < kMinutes) continue;
      must(store->append(messages));
      messages.clear();
    }
    must(store->write_pages());
  }
  must(store->expire(kBegin + std::chrono::hours(25)));

  std::vector<double> cpu_ms;
  std::vector<double> wall_ms;
  for (int round = 0; round < 1000; ++round) {
    store::Query query;
    query.selector.kpi = Kpi::kEmulatorTimeNs;
    query.selector.vms = {fmt::format("vm-{}", random() % (kHosts * kVms))};
    query.from = kBegin;
    query.to = kBegin + std::chrono::hours(24);
    query.function = store::Function::kRate;
    std::size_t points = 0;
    const auto began = std::chrono::steady_clock::now();
    const double cpu = thread_cpu_s();
    must(store::run_query(*store->series(), query, [&](const store::QueryResult& line) {
      for (const auto& point : line.points) points += point ? 1 : 0;
      return true;
    }));
    cpu_ms.push_back(1e3 * (thread_cpu_s() - cpu));
    wall_ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
    if (points < kMinutes - 1) must(Error{ErrorCode::kInternal, fmt::format("only {} points", points)});
  }
  std::sort(cpu_ms.begin(), cpu_ms.end());
  std::sort(wall_ms.begin(), wall_ms.end());
  report("query_p99_ms", cpu_ms[cpu_ms.size() * 99 / 100], "ms of CPU time");
  report("query_wall_p99_ms", wall_ms[wall_ms.size() * 99 / 100], "ms");
  report("query_p50_ms", cpu_ms[cpu_ms.size() / 2], "ms of CPU time");
}

int run(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "--record") == 0) {
    must(save(record_host(std::atoi(argv[2])), argv[3]));
    return EXIT_SUCCESS;
  }
  std::vector<HostSeries> recorded;
  if (argc > 1) {
    auto loaded = load(argv[1]);
    if (!loaded) must(loaded.error());
    recorded = std::move(*loaded);
  } else {
    fmt::print(stderr, "recording this machine for {} s\n", kRecordSeconds);
    recorded = record_host(kRecordSeconds);
  }
  const std::string only = argc > 2 ? argv[2] : "";
  if (only.empty() || only == "bytes") {
    measure_bytes(mix_of(recorded), "mix");
    measure_bytes(active_of(recorded), "active");
  }
  const int hours = argc > 3 ? std::atoi(argv[3]) : 24;
  if (only.empty() || only == "scan") measure_scan(recorded, std::max(1, hours));
  if (only.empty() || only == "query") measure_query();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace proteus::bench

int main(int argc, char** argv) {
  return proteus::bench::run(argc, argv);
}
