#include "controller/ham/search/rejection_log.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kRejectionsMax = 32;
constexpr int kRejectionsPerVm = 3;

}  // namespace

bool RejectionLog::full() const {
  return rejections_.size() >= kRejectionsMax;
}

bool RejectionLog::takes(const std::string& vm) const {
  if (full()) return false;
  const auto it = per_vm_.find(vm);
  return it == per_vm_.end() || it->second < kRejectionsPerVm;
}

void RejectionLog::add(const std::string& vm, const std::string& candidate, const Refusal& refusal) {
  if (!takes(vm)) return;
  for (const Rejection& known : rejections_) {
    if (known.candidate == candidate && known.rule == refusal.rule) return;
  }
  ++per_vm_[vm];
  rejections_.push_back({candidate, refusal.rule, refusal.reason});
}

void RejectionLog::add_first(Rejection rejection) {
  rejections_.insert(rejections_.begin(), std::move(rejection));
  if (rejections_.size() > kRejectionsMax) rejections_.pop_back();
}

}  // namespace proteus::ham
