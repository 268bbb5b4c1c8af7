#pragma once

#include <nlohmann/json_fwd.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/ctl/client.h"
#include "controller/forecast/global/fine_tune.h"

namespace proteus::ctl {

struct TuneCommand {
  std::string file;  ///< where the weights go
  std::string from;  ///< weights to begin with; empty: the program's own
  forecast::global::FineTuneOptions options;
};

/// One series of the API's /v1/vms/NAME/forecast, in means of five minutes, oldest first and without gaps.
struct BinnedHistory {
  forecast::global::Kind kind = forecast::global::Kind::kOther;
  std::int64_t end_s = 0;  ///< UTC, at which the newest bin ends
  std::vector<double> values;
};
/// Empty if its steps do not divide five minutes, or nothing is known. Errors: kCorrupt for an answer that is none.
Result<BinnedHistory> binned_history(const nlohmann::ordered_json& answer);

/// Learns on from the weights what the controller's own VMs do, out of the history that it keeps, and writes them if
/// they are better for it. Returns whether they were written. Errors: the controller's, those of fine_tune, the file's.
Result<bool> run_tune(Client& client, const TuneCommand& command, bool json, std::ostream& out);

}  // namespace proteus::ctl
