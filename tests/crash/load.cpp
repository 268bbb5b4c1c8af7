#include "tests/crash/load.h"

#include <fmt/core.h>

#include <filesystem>
#include <stdexcept>
#include <utility>

#include "common/wire/keygen.h"

namespace proteus::crash {
namespace {

constexpr std::size_t kFramesHeldMax = 2000;

std::shared_ptr<const Catalog> catalog_of(const std::string& host) {
  auto catalog = std::make_shared<Catalog>();
  catalog->host = HostId(host);
  catalog->boot_id = 1;
  catalog->version = 1;
  catalog->entities.push_back({EntityKind::kHost, kNoParent, host, "", {}});
  for (std::uint32_t vm = 0; vm < kVmsPerHost; ++vm) {
    catalog->entities.push_back(
        {EntityKind::kVm, 0, fmt::format("vm-{}", vm), fmt::format("00000000-0000-4000-8000-{:012x}", vm), {}});
    catalog->series.push_back({vm + 1, Kpi::kEmulatorTimeNs, 0});
  }
  return catalog;
}

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

}  // namespace

Load::Load(zmq::context_t& context, const std::string& folder, const std::string& host, const std::string& endpoint,
           const std::string& controller_key)
    : host_(host), catalog_(catalog_of(host)), samples_(kFramesHeldMax, WhenFull::kRefuse) {
  std::filesystem::create_directories(folder);
  public_line_ = must(wire::make_key_files(folder, "agent", host));
  publish::PublisherOptions options;
  options.host = HostId(host);
  options.keys = must(wire::read_key_pair(folder + "/agent.key"));
  options.controllers = {{endpoint, controller_key}};
  options.spool_directory = folder + "/spool";
  options.resend_after = std::chrono::milliseconds(1000);
  options.farewell = std::chrono::seconds(60);
  publisher_ = std::make_unique<publish::Publisher>(context, std::move(options), samples_);
}

Load::~Load() {
  samples_.close();
}

void Load::start() {
  if (const Status started = publisher_->start(); !started) throw std::runtime_error(started.error().message);
}

void Load::tick(Timestamp now) {
  if (held() >= kFramesHeldMax) return;
  ++ticks_;
  Sample sample{catalog_, {}};
  sample.frame.boot_id = catalog_->boot_id;
  sample.frame.catalog_version = catalog_->version;
  sample.frame.sequence = static_cast<std::uint64_t>(ticks_);
  sample.frame.time = now;
  for (int vm = 0; vm < kVmsPerHost; ++vm) sample.frame.values.push_back(ticks_ * 1000 + vm);
  sample.frame.present.assign(sample.frame.values.size(), 1);
  if (!samples_.push(std::move(sample))) throw std::runtime_error("the queue of samples is full");
}

bool Load::finish() {
  publisher_->stop();
  return held() == 0;
}

}  // namespace proteus::crash
