#include "agent/publish/publisher.h"

#include <pthread.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/publish/link.h"
#include "common/log.h"
#include "common/wire/catalog_check.h"
#include "common/wire/telemetry_codec.h"

namespace proteus::publish {
namespace {

using namespace std::chrono_literals;

/// What is done late, at most, for want of a message: spooling, sending again.
constexpr auto kPollIntervalMax = 1000ms;

/// A controller's spool is found again by its key, wherever the controller moved to.
std::string spool_name(const ControllerEndpoint& controller) {
  return fmt::format("{:016x}", XXH64(controller.public_key.data(), controller.public_key.size(), 0));
}

/// Spools of controllers that are not configured any more would hold disk for ever.
void remove_other_spools(const std::string& directory, const std::set<std::string>& wanted) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed)) {
    const std::string name = entry.path().filename().string();
    const bool is_spool = name.size() == 16 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!is_spool || wanted.contains(name)) continue;
    log::warning("{} is the spool of a controller that is not configured any more; deleted", entry.path().string());
    std::filesystem::remove_all(entry.path(), failed);
  }
}

/// Whether a catalog whose texts are within their limits fits into a message many times.
bool is_far_from_limits(const Catalog& catalog) {
  std::size_t label_count = 0;
  for (const Entity& entity : catalog.entities) {
    if (entity.labels.size() > wire::kLabelsPerEntityMax) return false;
    label_count += entity.labels.size();
  }
  return std::max(catalog.entities.size(), label_count) <= 8'192 && catalog.series.size() <= 131'072;
}

}  // namespace

Publisher::Publisher(zmq::context_t& context, PublisherOptions options, Queue<Sample>& samples)
    : context_(context), options_(std::move(options)), samples_(samples) {
  samples_.on_push([this] { wakeup_.notify(); });
}

Publisher::~Publisher() {
  stop();
}

Status Publisher::start() {
  std::set<std::string> names;
  for (const ControllerEndpoint& controller : options_.controllers) {
    const std::string name = spool_name(controller);
    if (!names.insert(name).second) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("two controllers have the key of {}", controller.endpoint)};
    }
    auto spool = Spool::open({options_.spool_directory + "/" + name, options_.spool_bytes_max, options_.host});
    if (!spool) return spool.error();
    if (!wire::valid_endpoint(controller.endpoint)) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("telemetry: '{}' is no address like tcp://controller1:7401", controller.endpoint)};
    }
    auto socket = wire::make_dealer(context_, options_.keys, controller.public_key, options_.socket);
    if (!socket) return with_context(socket.error(), "telemetry to " + controller.endpoint);
    links_.push_back(
        std::make_unique<Link>(context_, std::move(*socket), std::move(*spool), options_, controller.endpoint));
  }
  remove_other_spools(options_.spool_directory, names);
  report();
  thread_ = std::thread([this] { run(); });
  return {};
}

void Publisher::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  wakeup_.notify();
  thread_.join();
}

std::vector<LinkStatus> Publisher::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

void Publisher::run() {
  pthread_setname_np(pthread_self(), "publish");
  const auto interval = std::min({kPollIntervalMax, options_.resend_after / 4, options_.backlog.spool_after / 2});
  while (!stopping_) {
    const SteadyTime now = std::chrono::steady_clock::now();
    take_samples(now);
    for (auto& link : links_) link->service(now);
    report();
    poll(interval, false);
  }
  const SteadyTime give_up = std::chrono::steady_clock::now() + options_.farewell;
  for (SteadyTime now = std::chrono::steady_clock::now(); now < give_up; now = std::chrono::steady_clock::now()) {
    take_samples(now);
    for (auto& link : links_) link->service(now);
    const bool waits = std::any_of(links_.begin(), links_.end(),
                                   [](const auto& link) { return link->is_connected() && !link->is_idle(); });
    if (!waits) break;
    poll(std::chrono::duration_cast<std::chrono::milliseconds>(give_up - now) + 1ms, true);
  }
  for (auto& link : links_) link->leave();
  report();
  links_.clear();  // sockets end in the thread that used them
}

void Publisher::take_samples(SteadyTime now) {
  while (auto taken = samples_.try_pop()) {
    if (!fits_the_wire(*taken)) {
      ++misfits_;
      continue;
    }
    const auto sample = std::make_shared<const Sample>(std::move(*taken));
    for (auto& link : links_) link->push(sample, now);
  }
}

/// A catalog that controllers would refuse is a fault of this agent: it is named here, where it can be mended, and its
/// frames are dropped.
bool Publisher::fits_the_wire(const Sample& sample) {
  const bool time_fits = wire::can_tell(sample.frame.time);
  if (time_fits != std::exchange(time_fits_, time_fits)) {
    if (time_fits) {
      log::info("this host's clock is in its right century again");
    } else {
      log::error("telemetry is dropped while this host's clock is before 1970 or after 2200");
    }
  }
  if (!time_fits) return false;
  if (sample.catalog == checked_catalog_) return catalog_fits_;
  checked_catalog_ = sample.catalog;
  const Status fits = fits_the_wire(*sample.catalog);
  catalog_fits_ = fits.has_value();
  if (!fits) {
    log::error("telemetry is dropped, catalog {} cannot be sent: {}", sample.catalog->version, fits.error().message);
  }
  return catalog_fits_;
}

Status Publisher::fits_the_wire(const Catalog& catalog) const {
  if (catalog.host != options_.host) return Error{ErrorCode::kInvalidArgument, "it names another host"};
  // Nearly all pass as they are. One of hundreds of VMs takes milliseconds to be encoded and decoded again.
  if (is_far_from_limits(catalog) && wire::check_catalog(catalog)) return {};
  const auto decoded = wire::decode_upstream(wire::encode(catalog));
  return decoded ? Status() : Status(decoded.error());
}

void Publisher::poll(std::chrono::milliseconds timeout, bool leaving) {
  std::vector<zmq::pollitem_t> items = {{nullptr, wakeup_.fd(), ZMQ_POLLIN, 0}};
  for (auto& link : links_) link->add_poll_items(items, leaving);
  wire::poll(items, timeout);
  if ((items.front().revents & ZMQ_POLLIN) != 0) wakeup_.drain();
}

void Publisher::report() {
  std::uint64_t dropped = samples_.dropped_count() + misfits_;
  std::vector<LinkStatus> status;
  for (const auto& link : links_) {
    status.push_back(link->status());
    dropped += status.back().frames_dropped;
  }
  dropped_frames_ = dropped;
  std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

}  // namespace proteus::publish
