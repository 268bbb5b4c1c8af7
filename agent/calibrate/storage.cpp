#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include "agent/calibrate/measure.h"
#include "agent/calibrate/stopwatch.h"

namespace proteus::calibrate {
namespace {

constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kFileBytes = 32 * kMiB;
constexpr std::size_t kWriteBytes = kMiB;

Error trouble(const std::string& what) {
  return {errno == EINVAL || errno == EOPNOTSUPP ? ErrorCode::kUnsupported : ErrorCode::kUnavailable,
          fmt::format("{}: {}", what, std::strerror(errno))};
}

/// A file without a name, gone with its descriptor.
class Scratch {
 public:
  static Result<Scratch> make(const std::string& directory) {
    std::string path = directory + "/calibrate.XXXXXX";
    const int fd = ::mkostemp(path.data(), O_CLOEXEC);
    if (fd < 0) return trouble("a file in " + directory);
    ::unlink(path.c_str());
    return Scratch(fd);
  }
  ~Scratch() {
    if (fd_ >= 0) ::close(fd_);
  }
  Scratch(Scratch&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Scratch& operator=(Scratch&&) = delete;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  int fd() const { return fd_; }

 private:
  explicit Scratch(int fd) : fd_(fd) {}
  int fd_;
};

struct Freed {
  void operator()(void* block) const { std::free(block); }
};
using Block = std::unique_ptr<void, Freed>;

/// Direct I/O wants its memory aligned.
Block make_block(std::size_t bytes) {
  Block block(std::aligned_alloc(kBlockBytes, bytes));
  if (block) std::memset(block.get(), 0x5a, bytes);
  return block;
}

}  // namespace

Result<std::vector<double>> measure_storage_sync_ns(const std::string& directory, Nanoseconds budget) {
  const Result<Scratch> file = Scratch::make(directory);
  if (!file) return file.error();
  const Block block = make_block(kBlockBytes);
  if (!block) return trouble("memory");
  const auto write_synced = [&] {
    return ::pwrite(file->fd(), block.get(), kBlockBytes, 0) == static_cast<ssize_t>(kBlockBytes) &&
           ::fdatasync(file->fd()) == 0;
  };
  // The first makes the file longer, which costs more than what is asked for.
  if (!write_synced()) return trouble("a synced write in " + directory);
  std::vector<double> latencies;
  Stopwatch watch(budget);
  watch.lap_ns();
  do {
    if (!write_synced()) return trouble("a synced write in " + directory);
    latencies.push_back(watch.lap_ns());
  } while (watch.time_left());
  return latencies;
}

Result<std::vector<double>> measure_storage_read_ns(const std::string& directory, Nanoseconds budget) {
  const Result<Scratch> file = Scratch::make(directory);
  if (!file) return file.error();
  const Block block = make_block(kWriteBytes);
  if (!block) return trouble("memory");
  for (std::size_t at = 0; at < kFileBytes; at += kWriteBytes) {
    if (::pwrite(file->fd(), block.get(), kWriteBytes, static_cast<off_t>(at)) != static_cast<ssize_t>(kWriteBytes)) {
      return trouble(fmt::format("{} MiB in {}", kFileBytes / kMiB, directory));
    }
  }
  if (::fdatasync(file->fd()) != 0) return trouble("a sync in " + directory);
  if (::fcntl(file->fd(), F_SETFL, O_DIRECT) != 0) return trouble("reading past the page cache in " + directory);
  std::minstd_rand random(1);
  std::vector<double> latencies;
  Stopwatch watch(budget);
  watch.lap_ns();
  do {
    const auto at = static_cast<off_t>(random() % (kFileBytes / kBlockBytes) * kBlockBytes);
    if (::pread(file->fd(), block.get(), kBlockBytes, at) != static_cast<ssize_t>(kBlockBytes)) {
      return trouble("a read past the page cache in " + directory);
    }
    latencies.push_back(watch.lap_ns());
  } while (watch.time_left());
  return latencies;
}

}  // namespace proteus::calibrate
