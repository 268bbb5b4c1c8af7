#include "agent/collect/working_sets.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace proteus::collect {
namespace {

constexpr std::chrono::seconds kAskEvery{1};
constexpr std::chrono::seconds kSilentMost{30};

}  // namespace

WorkingSets::WorkingSets(Damon damon) : damon_(std::move(damon)), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "proteus-damon");
}

WorkingSets::~WorkingSets() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

void WorkingSets::update(std::map<VmId, pid_t> guests, SteadyTime now) {
  const bool first = asked_at_ == SteadyTime{};
  if (!first && now - asked_at_ < kAskEvery) return;
  if (!first) pause_ = now - asked_at_;
  asked_at_ = now;
  {
    const std::lock_guard lock(mutex_);
    if (first) answered_at_ = now;  // it is not silent yet
    question_ = {std::move(guests), now};
  }
  asked_.notify_one();
}

bool WorkingSets::is_silent(SteadyTime now) const {
  return now - answered_at_ > std::max<SteadyTime::duration>(kSilentMost, 2 * pause_);
}

bool WorkingSets::works(SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  return works_ && !is_silent(now);
}

std::optional<std::int64_t> WorkingSets::working_set_bytes(const VmId& vm, SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  const auto found = working_sets_.find(vm);
  if (found == working_sets_.end() || is_silent(now)) return std::nullopt;
  return found->second;
}

void WorkingSets::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    asked_.wait(lock, [this] { return ending_ || question_; });
    if (ending_) return;
    const Question question = *std::exchange(question_, std::nullopt);
    lock.unlock();
    damon_.update(question.guests, question.now);
    std::map<VmId, std::optional<std::int64_t>> found;
    for (const auto& [vm, pid] : question.guests) found[vm] = damon_.working_set_bytes(vm, question.now);
    lock.lock();
    works_ = damon_.works();
    answered_at_ = question.now;
    working_sets_ = std::move(found);
  }
}

}  // namespace proteus::collect
