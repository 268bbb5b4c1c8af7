#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "common/result.h"

namespace proteus::ctl {

/// Weeks of the KVM-cluster benchmark to learn from.
struct SimulatedWeeks {
  std::string data;  ///< directory of the traces; empty: none
  std::string scenario = "normal";
  std::uint64_t first_seed = 101;
  std::uint64_t last_seed = 110;
};

struct LearningCommand {
  std::vector<std::string> recordings;
  SimulatedWeeks weeks;  ///< after the recordings
  std::string out;       ///< where the model goes; empty: it is only looked at
  std::string from;      ///< a model to begin with; empty: none
  bool json = false;
};

/// The answer of /v1/learning for people.
std::string print_learning(const nlohmann::ordered_json& learning);
/// Learns from the outcomes that recordings have journalled, in the order in which they are given, whoever decided
/// then, and from simulated weeks, in which it decides, and says what the learned choice would have been worth more
/// than the rules' (doubly robust, with its lower bound). Errors: kInvalidArgument if there is nothing to learn from,
/// the recordings' and the traces', kNotFound if they hold no outcome, the files'.
Status train_learning(const LearningCommand& command, std::ostream& out);

}  // namespace proteus::ctl
