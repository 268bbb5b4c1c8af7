#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "common/result.h"

namespace proteus::ctl {

struct LearningCommand {
  std::vector<std::string> recordings;
  std::string out;   ///< where the model goes; empty: it is only looked at
  std::string from;  ///< a model to begin with; empty: none
  bool json = false;
};

/// The answer of /v1/learning for people.
std::string print_learning(const nlohmann::ordered_json& learning);
/// Learns from the outcomes that recordings have journalled, in the order in which they are given, whoever decided
/// then, and says what the learned choice would have been worth more than the rules' (doubly robust, with its lower
/// bound). Errors: the recordings', kNotFound if they hold no outcome, the files'.
Status train_learning(const LearningCommand& command, std::ostream& out);

}  // namespace proteus::ctl
