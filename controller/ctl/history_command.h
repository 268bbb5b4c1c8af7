#pragma once

#include <string>
#include <vector>

#include "controller/ctl/request_path.h"

namespace proteus::ctl {

/// `proteusctl history` as the API takes it; what is empty is not asked for.
struct HistoryRequest {
  int limit = 200;
  bool all = false;
  std::vector<std::string> vms;
  std::vector<std::string> hosts;
  std::vector<std::string> kinds;
  std::string from;
  std::string to;

  /// Leaves something out.
  bool selects() const { return !vms.empty() || !hosts.empty() || !kinds.empty() || !from.empty() || !to.empty(); }
};

/// "/v1/history?…"
inline std::string history_path(const HistoryRequest& request) {
  RequestPath path("/v1/history");
  path.add("limit", std::to_string(request.limit));
  path.add("all", std::string(request.all ? "1" : ""));
  path.add("vm", request.vms);
  path.add("host", request.hosts);
  path.add("kind", request.kinds);
  path.add("from", request.from);
  path.add("to", request.to);
  return path.text();
}

}  // namespace proteus::ctl
