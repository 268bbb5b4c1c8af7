#include "controller/ham/learning/agent.h"

#include <algorithm>
#include <utility>

#include "common/state_archive.h"

namespace proteus::ham::learning {
namespace {

constexpr std::uint32_t kStateVersion = 2;
constexpr std::uint32_t kVersionWithoutFollowed = 1;
/// VMs in the control group, while learning acts.
constexpr double kControlShare = 0.2;
constexpr Nanoseconds kBlock = std::chrono::minutes(30);
/// Evidence that is kept when the world has turned out to be another.
constexpr double kKeptAfterRetreat = 0.25;

std::int64_t block_of(Timestamp now) {
  return now.time_since_epoch() / kBlock;
}

/// Whether the VM belongs to the control group in this half hour.
bool draw_control(const VmId& vm, std::int64_t block) {
  return static_cast<double>(draw(vm, static_cast<std::uint64_t>(block)) >> 11) * 0x1p-53 < kControlShare;
}

}  // namespace

/// FNV-1a of its id, and the finaliser of SplitMix64.
std::uint64_t draw(const VmId& vm, std::uint64_t number) {
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ number;
  for (const char c : vm.value) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
  return hash ^ (hash >> 31);
}

Agent::Agent() : model_(kFeatureCount) {}

Advice Agent::advise(const Note& described, const VmId& vm, Timestamp now) const {
  Advice advice;
  const Belief relative = model_.believe(described.features);
  advice.belief = {relative.mean * described.scale, relative.deviation * described.scale};
  advice.correction = advice.belief.certain();
  advice.control = acting() && draw_control(vm, block_of(now));
  return advice;
}

double Agent::propensity(bool learned_act) const {
  return acting() && !learned_act ? kControlShare : 1;
}

bool Agent::counted(const VmId& vm, Kind kind, Timestamp now) const {
  const auto found = counted_.find(vm);
  return found != counted_.end() && found->second[static_cast<std::size_t>(kind)] == block_of(now);
}

void Agent::on_decision(const Decision& decision) {
  const std::int64_t block = block_of(decision.time);
  std::erase_if(counted_, [&](const auto& entry) {
    return std::all_of(entry.second.begin(), entry.second.end(), [&](std::int64_t b) { return b != block; });
  });
  for (const Held& held : decision.learning.held) {
    if (!held.examined) continue;
    const auto added = counted_.try_emplace(held.vm, std::array<std::int64_t, kKindCount>{-1, -1, -1}).first;
    added->second[static_cast<std::size_t>(held.note.kind)] = block;
    if (!held.occasion) continue;
    const Occasion occasion{true, false, 1, held.note.expected(), std::nullopt};
    if (supervisor_.on_occasion(occasion, held.note.scale) != Supervisor::Verdict::kStay) ++revision_;
  }
}

Outcome Agent::learn(const Realised& realised) {
  const Note& note = realised.note;
  Occasion occasion{true, note.learned_act, note.propensity, note.expected(), std::nullopt};
  // What was drawn instead of what the rules prefer tells the model something, and nothing of the rules' choice.
  if (note.preferred) occasion.realised = realised.reward;
  const Supervisor::Verdict verdict = supervisor_.on_occasion(occasion, note.scale);
  if (verdict == Supervisor::Verdict::kStepBack) model_.fade(kKeptAfterRetreat);
  model_.observe(note.features, (realised.reward - note.predicted) / note.scale, realised.weight);
  ++revision_;
  Outcome outcome{realised.action, realised.vm, note, realised.reward, realised.weight, {}, {}, {}, {}};
  outcome.difference = difference(occasion);
  outcome.lower = supervisor_.evaluation().lower();
  outcome.acting = acting();
  outcome.revision = revision_;
  return outcome;
}

std::vector<Outcome> Agent::observe(const ClusterState& state, const Policy& policy) {
  std::vector<Outcome> outcomes;
  for (const Realised& realised : follower_.observe(state, policy)) outcomes.push_back(learn(realised));
  return outcomes;
}

Outcome Agent::refine(const Outcome& logged) {
  Realised again{logged.action, logged.vm, logged.note, logged.realised, logged.weight};
  Advice advice = advise(again.note, again.vm, {});
  advice.control = logged.note.control;
  advice.write(again.note);
  return learn(again);
}

Report Agent::report() const {
  const ConfidenceSequence& evaluation = supervisor_.evaluation();
  return {.acting = acting(),
          .revision = revision_,
          .evidence = model_.evidence(),
          .following = follower_.following(),
          .calibration = follower_.calibration(),
          .occasions = evaluation.count(),
          .parted = supervisor_.parted(),
          .mean = evaluation.mean(),
          .lower = evaluation.lower(),
          .fall = supervisor_.fall(),
          .adoptions = supervisor_.adoptions(),
          .retreats = supervisor_.retreats(),
          .coefficients = model_.coefficients()};
}

template <typename Archive>
void Agent::archive(Archive& a, std::uint32_t version) {
  model_.archive(a);
  supervisor_.archive(a);
  follower_.archive(a, version > kVersionWithoutFollowed);
  a(revision_);
}

void Agent::begin_elsewhere() {
  follower_.forget_all();
  counted_.clear();
}

std::string Agent::save() const {
  std::string bytes;
  StateWriter writer(bytes);
  writer(kStateVersion);
  Agent(*this).archive(writer, kStateVersion);  // one description serves both ways
  return bytes;
}

Status Agent::restore(std::string_view bytes) {
  StateReader reader(bytes);
  std::uint32_t version = 0;
  reader(version);
  if (reader.ok() && version != kStateVersion && version != kVersionWithoutFollowed) {
    return Error{ErrorCode::kUnsupported, "what was learned is stored in another version's form"};
  }
  Agent read;
  read.archive(reader, version);
  if (!reader.ok() || !reader.at_end()) return Error{ErrorCode::kCorrupt, "what was learned does not decode"};
  model_ = std::move(read.model_);
  supervisor_ = read.supervisor_;
  follower_ = std::move(read.follower_);
  revision_ = read.revision_;
  return {};
}

}  // namespace proteus::ham::learning
