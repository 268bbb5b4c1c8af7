#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "controller/ctl/print.h"
#include "controller/ctl/table.h"

namespace proteus::ctl {
namespace {

std::string amount(const Json& value, bool cores) {
  return cores ? fmt::format("{:.3f}", value.get<double>()) : format_bytes(value.get<double>());
}

std::string percent(const Json& share) {
  return fmt::format("{:.0f} %", share.get<double>() * 100);
}

std::string note_of(const Json& model) {
  if (model.at("chosen").get<bool>()) return "chosen";
  if (model.at("set_aside").get<bool>()) return "set aside: " + model.at("reason").get<std::string>();
  return "";
}

}  // namespace

std::string print_accuracy(const Json& series, bool every_model) {
  if (series.empty()) return "no series is forecast yet\n";
  Table table({"VM", "RESOURCE", "MODEL", ">AHEAD", ">PINBALL LOSS", ">MASE", ">BELOW P50", ">P90", ">P95", ">P99",
               ">SCORED", ">SHARE", "NOTE"});
  std::size_t set_aside = 0;
  for (const Json& one : series) {
    const bool cores = one.at("unit").get<std::string>() == "cores";
    for (const Json& model : one.at("models")) {
      set_aside += model.at("set_aside").get<bool>() && !model.at("leads").empty() ? 1 : 0;
      if (!every_model && !model.at("chosen").get<bool>()) continue;
      std::vector<std::string> head = {one.at("name").get<std::string>(), one.at("resource").get<std::string>(),
                                       model.at("model").get<std::string>()};
      std::string note = note_of(model);
      if (model.at("leads").empty()) table.add({head[0], head[1], head[2], "", "", "", "", "", "", "", "0", "", note});
      for (const Json& lead : model.at("leads")) {
        const Json& coverage = lead.at("coverage");
        table.add({head[0], head[1], head[2], format_seconds(lead.at("lead_s").get<double>()),
                   amount(lead.at("pinball_loss"), cores),
                   lead.at("mase").is_number() ? fmt::format("{:.2f}", lead.at("mase").get<double>()) : "-",
                   percent(coverage.at("p50")), percent(coverage.at("p90")), percent(coverage.at("p95")),
                   percent(coverage.at("p99")), fmt::format("{}", lead.at("scored_steps").get<std::int64_t>()),
                   lead.at("share").get<double>() > 0 ? percent(lead.at("share")) : "", note});
        head = {"", "", ""};
        note.clear();
      }
    }
  }
  std::string text = table.text();
  if (!every_model) {
    text += fmt::format("{} series; {} models set aside (proteusctl accuracy VM says which and why)\n", series.size(),
                        set_aside);
  }
  return text;
}

}  // namespace proteus::ctl
