#include "agent/collect/damon.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/collect/text_file.h"

namespace proteus::collect {
namespace {

constexpr std::chrono::seconds kWatch{10};
constexpr std::chrono::minutes kAgeMost{10};
constexpr int kFailedStartsMost = 30;
constexpr const char* kSampleUs = "100000";
constexpr const char* kAggregationUs = "2000000";
constexpr const char* kUpdateUs = "10000000";
constexpr const char* kRegionsMin = "10";
constexpr const char* kRegionsMax = "500";
constexpr const char* kAnything = "18446744073709551615";

bool write(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

bool has_line(const std::string& text, std::string_view wanted) {
  std::string_view rest = text;
  while (const auto line = take_line(rest)) {
    if (*line == wanted) return true;
  }
  return false;
}

std::string first_line(const std::string& file) {
  const auto text = read_file(file);
  return text ? text->substr(0, text->find('\n')) : "unknown";
}

/// The one monitor is set up as ours are.
bool left_by_an_agent(const std::string& kdamonds) {
  const auto is = [&](const char* file, std::string_view wanted) {
    return first_line(kdamonds + "/0/contexts/0" + file) == wanted;
  };
  return first_line(kdamonds + "/nr_kdamonds") == "1" && is("/operations", "vaddr") &&
         is("/monitoring_attrs/intervals/sample_us", kSampleUs) &&
         is("/monitoring_attrs/intervals/aggr_us", kAggregationUs) &&
         is("/monitoring_attrs/intervals/update_us", kUpdateUs) &&
         is("/monitoring_attrs/nr_regions/max", kRegionsMax) && is("/schemes/0/action", "stat");
}

}  // namespace

Result<Damon> Damon::open(const std::string& root) {
  const std::string kdamonds = under(root, "/sys/kernel/mm/damon/admin/kdamonds");
  const int list = ::open((kdamonds + "/nr_kdamonds").c_str(), O_RDONLY | O_CLOEXEC);
  if (list < 0 && errno != ENOENT) {
    return Error{ErrorCode::kPermissionDenied, "DAMON: " + std::string(std::strerror(errno))};
  }
  if (list < 0) return Error{ErrorCode::kUnsupported, "the kernel has no DAMON in sysfs (CONFIG_DAMON_SYSFS, 5.18)"};
  Damon damon("", list);
  // Its holder keeps the list locked, so that a lock which is free says that it was killed.
  if (::flock(list, LOCK_EX | LOCK_NB) != 0) return Error{ErrorCode::kFailedPrecondition, "another agent uses DAMON"};
  if (first_line(kdamonds + "/nr_kdamonds") != "0") {
    if (!left_by_an_agent(kdamonds)) {
      return Error{ErrorCode::kUnavailable, "another program uses DAMON (" + kdamonds + "/0: state " +
                                                first_line(kdamonds + "/0/state") + ", pid " +
                                                first_line(kdamonds + "/0/pid") + ")"};
    }
    write(kdamonds + "/0/state", "off");
    write(kdamonds + "/nr_kdamonds", "0");
  }
  if (!write(kdamonds + "/nr_kdamonds", "1")) {
    return Error{ErrorCode::kPermissionDenied, "DAMON: " + std::string(std::strerror(errno))};
  }
  damon.kdamonds_ = kdamonds;  // from here on it gives the list back
  if (!write(damon.monitor() + "/contexts/nr_contexts", "1")) {
    return Error{ErrorCode::kUnsupported, "DAMON refuses a context: " + std::string(std::strerror(errno))};
  }
  const auto operations = read_file(damon.monitor() + "/contexts/0/avail_operations");
  if (!operations || !has_line(*operations, "vaddr")) {
    return Error{ErrorCode::kUnsupported,
                 "this kernel's DAMON does not watch processes, only physical memory (CONFIG_DAMON_VADDR)"};
  }
  if (!damon.configure() || !read_file(damon.monitor() + "/contexts/0/schemes/0/tried_regions/total_bytes")) {
    return Error{ErrorCode::kUnsupported, "this kernel's DAMON does not say how much was accessed (since 6.6)"};
  }
  return damon;
}

Damon::~Damon() {
  if (!kdamonds_.empty()) {
    if (watched_) write(monitor() + "/state", "off");
    write(kdamonds_ + "/nr_kdamonds", "0");
  }
  if (list_ >= 0) ::close(list_);  // and unlocks
}

Damon::Damon(Damon&& other) noexcept
    : kdamonds_(std::exchange(other.kdamonds_, {})),
      list_(std::exchange(other.list_, -1)),
      watched_(std::move(other.watched_)),
      failed_starts_(other.failed_starts_),
      turns_(std::move(other.turns_)),
      measured_(std::move(other.measured_)) {}

bool Damon::configure() const {
  const std::string context = monitor() + "/contexts/0";
  const std::string attributes = context + "/monitoring_attrs";
  const std::string scheme = context + "/schemes/0";
  const std::string pattern = scheme + "/access_pattern";
  // a scheme that does nothing but to count the regions that were accessed at all
  return write(context + "/operations", "vaddr") && write(context + "/schemes/nr_schemes", "1") &&
         write(scheme + "/action", "stat") && write(attributes + "/intervals/sample_us", kSampleUs) &&
         write(attributes + "/intervals/aggr_us", kAggregationUs) &&
         write(attributes + "/intervals/update_us", kUpdateUs) && write(attributes + "/nr_regions/min", kRegionsMin) &&
         write(attributes + "/nr_regions/max", kRegionsMax) && write(pattern + "/sz/min", "0") &&
         write(pattern + "/sz/max", kAnything) && write(pattern + "/nr_accesses/min", "1") &&
         write(pattern + "/nr_accesses/max", kAnything) && write(pattern + "/age/min", "0") &&
         write(pattern + "/age/max", kAnything);
}

bool Damon::start(pid_t pid) const {
  const std::string targets = monitor() + "/contexts/0/targets";
  return write(targets + "/nr_targets", "1") && write(targets + "/0/pid_target", std::to_string(pid)) &&
         write(monitor() + "/state", "on");
}

std::optional<std::int64_t> Damon::finish() const {
  std::optional<std::int64_t> bytes;
  if (write(monitor() + "/state", "update_schemes_tried_bytes")) {  // since 6.6
    const auto text = read_file(monitor() + "/contexts/0/schemes/0/tried_regions/total_bytes");
    if (text) bytes = parse_number(*text);
  }
  write(monitor() + "/state", "off");
  return bytes;
}

void Damon::update(const std::map<VmId, pid_t>& guests, SteadyTime now) {
  std::erase_if(measured_, [&](const auto& entry) { return !guests.contains(entry.first); });
  std::erase_if(turns_, [&](const auto& entry) { return !guests.contains(entry.first); });
  if (watched_) {
    const bool ended = !guests.contains(watched_->vm);
    if (!ended && now - watched_->since < kWatch) return;
    const auto bytes = finish();
    if (bytes && !ended) measured_[watched_->vm] = {*bytes, now};
    watched_.reset();
  }
  const auto next = std::min_element(guests.begin(), guests.end(), [this](const auto& a, const auto& b) {
    const auto turn = [this](const VmId& id) {
      const auto found = turns_.find(id);
      return found == turns_.end() ? SteadyTime::min() : found->second;
    };
    return turn(a.first) < turn(b.first);
  });
  if (next == guests.end()) return;
  turns_[next->first] = now;
  if (start(next->second)) {
    watched_ = Watched{next->first, now};
    failed_starts_ = 0;
  } else {
    ++failed_starts_;  // the process has just ended, or the kernel watches something of its own, which excludes others
  }
}

bool Damon::works() const {
  return failed_starts_ < kFailedStartsMost;
}

std::optional<std::int64_t> Damon::working_set_bytes(const VmId& vm, SteadyTime now) const {
  const auto found = measured_.find(vm);
  const auto age_most = std::max<SteadyTime::duration>(kAgeMost, 2 * kWatch * turns_.size());
  if (found == measured_.end() || now - found->second.at > age_most) return std::nullopt;
  return found->second.bytes;
}

}  // namespace proteus::collect
