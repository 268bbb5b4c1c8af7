#include "controller/ctl/planetlab_command.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "controller/ctl/table.h"
#include "controller/simulate/planetlab/machines.h"
#include "controller/simulate/trace/csv.h"

namespace proteus::ctl {

Status run_planetlab(const PlanetlabCommand& command, bool json, std::ostream& out) {
  if (command.policy != "npa") {
    return Error{ErrorCode::kInvalidArgument, fmt::format("--policy is '{}', but must be npa", command.policy)};
  }
  const Result<simulate::TraceTable> traces = simulate::read_traces(command.traces);
  if (!traces) return traces.error();
  const double energy_kwh = simulate::planetlab::energy_kwh_all_on();
  if (json) {
    const nlohmann::ordered_json result{{"policy", command.policy}, {"energy_kwh", energy_kwh}};
    out << result.dump(2) << "\n";
  } else {
    Table table({"POLICY", ">VMS", ">KWH"});
    table.add({command.policy, std::to_string(traces->series()), fmt::format("{:.2f}", energy_kwh)});
    out << table.text();
  }
  return {};
}

}  // namespace proteus::ctl
