#pragma once

#include <optional>
#include <ostream>
#include <string>

#include "common/result.h"
#include "common/units.h"

namespace proteus::ctl {

struct ReplayCommand {
  std::string file;           ///< "-": standard input
  std::string policy_file;    ///< empty: the recorded policy
  std::string weights_file;   ///< of the networks; empty: the program's own
  std::string speed = "max";  ///< "max", or how many times real time
  bool diff = false;
  bool json = false;  ///< one JSON object a line
};

/// What whoever decides again from a recording is to know of telemetry that it lacks (RecordingSummary), with a
/// newline; empty: it lacks none.
std::string missing_text(std::optional<Timestamp> missing_until);

/// Replays a recording and prints each decision that acts and each action's life, the same bytes for the same file.
/// Returns false if --diff found differences. Errors: the recording's, after what was decided until there; the
/// policy's, kInvalidArgument for the speed.
Result<bool> run_replay(const ReplayCommand& command, std::ostream& out);

}  // namespace proteus::ctl
