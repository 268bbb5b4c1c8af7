#pragma once

#include <fmt/core.h>
#include <sys/resource.h>
#include <time.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/telemetry.h"
#include "common/wire/telemetry_codec.h"
#include "controller/store/store.h"

/// What the benchmarks of the telemetry path share.
namespace proteus::bench {

/// One JSON line.
inline void report(const char* name, double value, const char* unit) {
  fmt::print("{{\"name\": \"{}\", \"value\": {:.4g}, \"unit\": \"{}\"}}\n", name, value, unit);
  std::fflush(stdout);
}

/// Ends the benchmark with the error, if there is one.
inline void must(const Status& status) {
  if (status) return;
  fmt::print(stderr, "{}\n", status.error().message);
  std::exit(EXIT_FAILURE);
}

/// User and system time of all threads of this process, seconds.
inline double process_cpu_s() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](timeval t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
inline double thread_cpu_s() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The UUID of the n-th VM of a host.
inline std::string vm_uuid(std::uint32_t host, std::uint32_t vm) {
  return fmt::format("{:08x}-0000-4000-8000-{:012x}", host, vm);
}

/// Makes the raw messages of one host, as its agent would send them.
class HostStream {
 public:
  explicit HostStream(std::shared_ptr<const Catalog> catalog) : catalog_(std::move(catalog)) {
    frame_.boot_id = catalog_->boot_id;
    frame_.catalog_version = catalog_->version;
    frame_.values.resize(catalog_->series.size());
    frame_.present.assign(catalog_->series.size(), 1);
  }

  std::vector<std::int64_t>& values() { return frame_.values; }
  std::vector<std::uint8_t>& present() { return frame_.present; }

  /// Appends the tick as it stands in values() and present().
  void tick(Timestamp time, std::vector<store::RawMessage>& messages) {
    frame_.time = time;
    ++frame_.sequence;
    bytes_.clear();
    encoder_.encode({catalog_, frame_}, bytes_);
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const bool is_frame = i + 1 == bytes_.size();
      const bool is_keyframe = bytes_.size() > 1 || (frame_.sequence - 1) % wire::kKeyframeInterval == 0;
      messages.push_back({.received = time,
                          .host = catalog_->host,
                          .boot_id = catalog_->boot_id,
                          .sequence = is_frame ? frame_.sequence : 0,
                          .catalog_version = catalog_->version,
                          .base_sequence = is_frame && !is_keyframe ? frame_.sequence - 1 : 0,
                          .bytes = std::move(bytes_[i])});
    }
  }

 private:
  std::shared_ptr<const Catalog> catalog_;
  Frame frame_;
  wire::FrameEncoder encoder_;
  std::vector<std::string> bytes_;
};

}  // namespace proteus::bench
