#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>

#include "common/result.h"

namespace proteus::ctl {

/// proteusctl policy …: works on files alone, without a controller.
struct PolicyCommand {
  std::string file;
  std::string other;      ///< diff: the second policy
  std::string recording;  ///< test, diff
  std::string at;  ///< test: only the decision in force at this time, in full; as api::parse_time(), now: its end
  int limit = 20;  ///< test, diff: how many lines of detail
  bool json = false;
};

/// Parses the file and says what is in it. False: it has problems, which are printed, one a line with file and line.
/// Errors: the file cannot be read.
Result<bool> check_policy(const PolicyCommand& command, std::ostream& out);

/// Decides by the policy against the world as recorded, and says what it would have done, and what its rules forbade.
/// Nothing is taken to be carried out. Errors: the policy's, the recording's; kNotFound if nothing was decided by `at`.
Status test_policy(const PolicyCommand& command, std::ostream& out);

/// Every step that a decision wants, as the API tells it: its label names some. Equal of those who want the same.
std::string steps_of(const nlohmann::ordered_json& decision);

/// The same for two policies: where their decisions part. True: nowhere.
Result<bool> diff_policies(const PolicyCommand& command, std::ostream& out);

}  // namespace proteus::ctl
