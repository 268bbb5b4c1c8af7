#include "agent/collect/on_demand.h"

#include "common/log.h"

namespace proteus::collect {
namespace {

Result<std::unique_ptr<KvmExitTrace>> create_exits(const RunQueueTrace* threads) {
  if (threads == nullptr) return Error{ErrorCode::kUnsupported, "there is no run-queue trace, which knows the threads"};
  const auto layout = probe_kvm_exit_layout();
  if (!layout) return layout.error();
  return KvmExitTrace::create(*threads, *layout);
}

}  // namespace

template <typename Hook, typename Create>
void OnDemand::follow(Question question, std::unique_ptr<Hook>& hook, Create create) {
  const auto at = static_cast<std::size_t>(question);
  const bool begins = wanted_[at] && !asked_[at];
  if (!wanted_[at]) hook.reset();
  if (!begins) return;
  auto created = create();
  if (created) {
    hook = std::move(created).value();
    log::info("question {}: watching", kQuestionNames[at]);
  } else {
    log::warning("question {}: {}", kQuestionNames[at], created.error().message);
  }
}

bool OnDemand::update(Timestamp now) {
  wanted_ = questions_.read(now);
  const bool changed = wanted_ != asked_;
  if (changed) {
    follow(Question::kKvmExits, exits_, [this] { return create_exits(threads_); });
    follow(Question::kNetSoftirq, softirq_, [] { return NetSoftirqTrace::create(); });
    follow(Question::kPacketDrops, drops_, [] { return PacketDropTrace::create(); });
    asked_ = wanted_;
  }
  if (!exits_ && !drops_ && exit_series_.empty() && drop_series_.empty()) return changed;
  const auto exits_before = exit_series_;
  const auto drops_before = drop_series_;
  read_exits();
  read_drops();
  return changed || exit_series_ != exits_before || drop_series_ != drops_before;
}

void OnDemand::read_exits() {
  exit_figures_ = exits_ ? exits_->read() : std::map<std::uint32_t, ExitFigures>{};
  std::set<std::pair<std::uint32_t, std::string>> now;
  const auto tell = [&](std::uint32_t slot, const std::string& reason, RunQueueTrace::Histogram& counted) {
    if (!exit_series_.contains({slot, reason})) counted = {};
    now.emplace(slot, reason);
  };
  for (auto& [slot, figures] : exit_figures_) {
    tell(slot, "", figures.userspace);
    for (ExitFigures::Reason& reason : figures.reasons) tell(slot, reason.name, reason.latencies);
  }
  exit_series_ = std::move(now);
}

void OnDemand::read_drops() {
  packet_drops_ = drops_ ? drops_->read() : std::vector<std::pair<std::string, std::int64_t>>{};
  std::set<std::string> now;
  for (auto& [reason, count] : packet_drops_) {
    if (!drop_series_.contains(reason)) count = 0;
    now.insert(reason);
  }
  drop_series_ = std::move(now);
}

void OnDemand::forget(std::uint32_t slot) {
  if (exits_) exits_->forget(slot);
  exit_figures_.erase(slot);
  std::erase_if(exit_series_, [slot](const auto& series) { return series.first == slot; });
}

const ExitFigures* OnDemand::exits(std::uint32_t slot) const {
  const auto found = exit_figures_.find(slot);
  return found == exit_figures_.end() ? nullptr : &found->second;
}

std::vector<NamedProgram> OnDemand::programs() const {
  std::vector<NamedProgram> all;
  if (exits_) {
    all.push_back({"on_kvm_exit", exits_->exit_program_fd()});
    all.push_back({"on_kvm_userspace_exit", exits_->userspace_program_fd()});
    all.push_back({"on_kvm_entry", exits_->entry_program_fd()});
  }
  if (softirq_) {
    all.push_back({"on_softirq_entry", softirq_->entry_program_fd()});
    all.push_back({"on_softirq_exit", softirq_->exit_program_fd()});
  }
  if (drops_) all.push_back({"on_kfree_skb", drops_->program_fd()});
  return all;
}

std::optional<std::int64_t> OnDemand::net_softirq_time_ns(std::size_t cpu) const {
  return softirq_ ? softirq_->time_ns(cpu) : std::nullopt;
}

}  // namespace proteus::collect
