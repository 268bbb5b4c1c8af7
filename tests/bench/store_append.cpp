// How fast telemetry becomes durable, how much disk it takes, and how fast it is read back.
// Usage: bench_store [DIRECTORY]   on the disk to be measured; default: the temporary directory

#include <fmt/core.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "common/wire/telemetry_codec.h"
#include "controller/store/store.h"
#include "tests/common/wire/telemetry_samples.h"

namespace {

using namespace proteus;
using Wall = std::chrono::steady_clock;

constexpr int kHosts = 32;
constexpr int kVmsPerHost = 10;
constexpr std::uint64_t kTicks = 60;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](timeval t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
double since(Wall::time_point start) {
  return std::chrono::duration<double>(Wall::now() - start).count();
}

/// A minute of each host: half of the counters stand still, the others move by up to a few milliseconds or kilobytes.
std::vector<std::vector<std::string>> make_minutes() {
  std::mt19937_64 random(1);
  std::vector<std::vector<std::string>> hosts;
  for (int h = 0; h < kHosts; ++h) {
    const auto catalog = make_catalog("h" + std::to_string(h), 1, 1, kVmsPerHost);
    wire::FrameEncoder encoder;
    std::vector<std::string> messages;
    std::vector<std::int64_t> values(catalog->series.size(), 1'000'000'000);
    for (std::uint64_t sequence = 1; sequence <= kTicks; ++sequence) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i % 2 == 0) values[i] += static_cast<std::int64_t>(random() % 5000) * info(catalog->series[i].kpi).quantum;
      }
      encoder.encode({catalog,
                      {1, 1, sequence, from_unix_ns(static_cast<std::int64_t>(sequence)),
                       std::vector<std::uint8_t>(values.size(), 1), values}},
                     messages);
    }
    messages.erase(messages.begin());  // the catalog
    hosts.push_back(std::move(messages));
  }
  return hosts;
}

bool measure(const std::string& directory, const std::vector<std::vector<std::string>>& minutes, std::size_t batch,
             std::size_t total) {
  std::filesystem::remove_all(directory);
  auto store = store::Store::open({.directory = directory});
  if (!store) return fmt::print(stderr, "{}\n", store.error().message), false;
  const Timestamp begin = from_unix_ns(1'700'000'000'000'000'000);
  std::size_t sent = 0;
  std::uint64_t wire_bytes = 0;
  std::vector<store::RawMessage> messages;
  const double cpu = cpu_seconds();
  const auto start = Wall::now();
  while (sent < total) {
    messages.clear();
    for (; messages.size() < batch; ++sent) {
      const std::size_t host = sent % kHosts;
      const std::uint64_t tick = sent / kHosts;  // a host sends its minute again and again, numbered on
      messages.push_back({.received = begin + std::chrono::seconds(tick),
                          .host = HostId("h" + std::to_string(host)),
                          .boot_id = 1,
                          .sequence = tick + 1,
                          .catalog_version = 1,
                          .base_sequence = tick % kTicks == 0 ? 0 : tick,
                          .bytes = minutes[host][tick % kTicks]});
      wire_bytes += messages.back().bytes.size();
    }
    if (const Status status = (*store)->append(messages); !status)
      return fmt::print(stderr, "{}\n", status.error().message), false;
  }
  const double wall = since(start);
  const double spent = cpu_seconds() - cpu;
  const auto figures = (*store)->figures();

  std::uint64_t read = 0;
  const auto read_start = Wall::now();
  const Status scanned =
      (*store)->scan(Timestamp::min(), Timestamp::max(),
                     {.raw = [&](const store::RawMessage&) { return ++read != 0; }, .journal = nullptr});
  if (!scanned || read != sent) return fmt::print(stderr, "read {} of {}\n", read, sent), false;
  const double read_wall = since(read_start);
  const auto count = static_cast<double>(sent);
  fmt::print(
      "batch {:>4}: {:>8.0f} messages/s, {:>6.1f} us CPU a message, {:>5.0f} bytes on the wire, {:>5.0f} on disk a "
      "message, "
      "read back at {:>8.0f}/s\n",
      batch, count / wall, 1e6 * spent / count, static_cast<double>(wire_bytes) / count,
      static_cast<double>(figures.disk_bytes) / count, count / read_wall);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string parent = argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string();
  const std::string directory = parent + "/proteus-bench-store";
  const auto minutes = make_minutes();
  bool good = true;
  for (const auto& [batch, total] : {std::pair<std::size_t, std::size_t>{1, 3'000}, {32, 100'000}, {256, 200'000}}) {
    good = good && measure(directory, minutes, batch, total);
  }
  std::filesystem::remove_all(directory);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
