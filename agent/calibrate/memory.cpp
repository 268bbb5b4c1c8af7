#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <random>
#include <span>

#include "agent/calibrate/measure.h"
#include "agent/calibrate/stopwatch.h"

namespace proteus::calibrate {
namespace {

/// More than any cache that one core has to itself.
constexpr std::size_t kBytes = 64 * kMiB;
constexpr std::size_t kLineBytes = 64;
constexpr std::size_t kLoadsPerLap = 4096;
constexpr std::size_t kPagesPerLap = 256;

/// Anonymous memory, unmapped with the object.
class Mapping {
 public:
  static Result<Mapping> make(std::size_t bytes, int advice) {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
      return Error{ErrorCode::kUnavailable, fmt::format("{} MiB of memory: {}", bytes / kMiB, std::strerror(errno))};
    }
    ::madvise(at, bytes, advice);  // where it is not known, pages are as they come
    return Mapping(at, bytes);
  }
  ~Mapping() {
    if (at_ != nullptr) ::munmap(at_, bytes_);
  }
  Mapping(Mapping&& other) noexcept : at_(std::exchange(other.at_, nullptr)), bytes_(other.bytes_) {}
  Mapping& operator=(Mapping&&) = delete;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  template <typename T>
  std::span<T> as() const {
    return {static_cast<T*>(at_), bytes_ / sizeof(T)};
  }

 private:
  Mapping(void* at, std::size_t bytes) : at_(at), bytes_(bytes) {}
  void* at_;
  std::size_t bytes_;
};

/// Keeps the compiler from leaving out what led to the value.
void use(std::uint64_t value) {
  asm volatile("" : : "r"(value) : "memory");
}

}  // namespace

Result<std::vector<double>> measure_memory_bandwidth(Nanoseconds budget) {
  const Result<Mapping> memory = Mapping::make(kBytes, MADV_HUGEPAGE);
  if (!memory) return memory.error();
  const std::span<std::uint64_t> words = memory->as<std::uint64_t>();
  std::fill(words.begin(), words.end(), 1);
  double best = 0;
  Stopwatch watch(budget);
  watch.lap_ns();
  do {
    // Four sums, so that no addition waits for the one before.
    std::uint64_t sums[4] = {};
    for (std::size_t i = 0; i + 3 < words.size(); i += 4) {
      for (std::size_t k = 0; k < 4; ++k) sums[k] += words[i + k];
    }
    use(sums[0] + sums[1] + sums[2] + sums[3]);
    best = std::max(best, static_cast<double>(kBytes) / watch.lap_ns() * 1e9);
  } while (watch.time_left());
  return std::vector<double>{best};
}

Result<std::vector<double>> measure_memory_latency_ns(Nanoseconds budget) {
  const Result<Mapping> memory = Mapping::make(kBytes, MADV_HUGEPAGE);
  if (!memory) return memory.error();
  const std::span<std::uint64_t> words = memory->as<std::uint64_t>();
  // One ring through all lines, in an order that no prefetcher guesses (Sattolo).
  constexpr std::size_t kStride = kLineBytes / sizeof(std::uint64_t);
  std::vector<std::uint32_t> order(kBytes / kLineBytes);
  std::iota(order.begin(), order.end(), 0U);
  std::minstd_rand random(1);
  for (std::size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random() % i]);
  for (std::size_t i = 0; i < order.size(); ++i) words[i * kStride] = order[i] * kStride;
  std::vector<double> latencies;
  std::uint64_t at = 0;
  Stopwatch watch(budget);
  watch.lap_ns();
  do {
    for (std::size_t i = 0; i < kLoadsPerLap; ++i) at = words[at];
    use(at);
    latencies.push_back(watch.lap_ns() / kLoadsPerLap);
  } while (watch.time_left());
  return latencies;
}

Result<std::vector<double>> measure_page_fault_ns(Nanoseconds budget) {
  const auto page_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<double> latencies;
  for (Stopwatch watch(budget); watch.time_left();) {
    const Result<Mapping> memory = Mapping::make(kBytes / 4, MADV_NOHUGEPAGE);
    if (!memory) return memory.error();
    const std::span<unsigned char> bytes = memory->as<unsigned char>();
    const std::size_t lap_bytes = kPagesPerLap * page_bytes;
    for (std::size_t begin = 0; begin + lap_bytes <= bytes.size(); begin += lap_bytes) {
      watch.lap_ns();
      for (std::size_t page = 0; page < kPagesPerLap; ++page) {
        *const_cast<volatile unsigned char*>(&bytes[begin + page * page_bytes]) = 1;
      }
      latencies.push_back(watch.lap_ns() / kPagesPerLap);
    }
  }
  return latencies;
}

}  // namespace proteus::calibrate
