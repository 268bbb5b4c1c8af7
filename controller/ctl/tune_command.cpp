#include "controller/ctl/tune_command.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>

#include "controller/api/json_view.h"
#include "controller/ctl/destination.h"
#include "controller/ctl/progress_bar.h"
#include "controller/forecast/gaps.h"
#include "controller/forecast/global/shipped_weights.h"
#include "controller/forecast/global_model.h"

namespace proteus::ctl {
namespace {

using forecast::Resource;
using forecast::global::FineTuned;
using forecast::global::FineTuneScore;
using forecast::global::TrainingSeries;
using forecast::global::Weights;

constexpr double kBinS = 300;
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

Result<std::int64_t> seconds_of(const std::string& time) {
  std::tm parts{};
  if (strptime(time.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) {
    return Error{ErrorCode::kCorrupt, fmt::format("the controller gave '{}' for a time", time)};
  }
  return timegm(&parts);
}

/// All resources of one VM, each with the others beside it.
void add_series(const std::vector<BinnedHistory>& of_vm, std::vector<TrainingSeries>& series) {
  for (const BinnedHistory& one : of_vm) {
    TrainingSeries added{.kind = one.kind, .values = one.values, .companions = {}, .start_epoch_s = {}};
    added.start_epoch_s = one.end_s - static_cast<std::int64_t>(kBinS) * static_cast<std::int64_t>(one.values.size());
    for (const BinnedHistory& other : of_vm) {
      if (&other == &one || other.end_s != one.end_s || other.values.size() < one.values.size()) continue;
      added.companions.push_back({other.kind, std::span(other.values).last(one.values.size())});
    }
    series.push_back(std::move(added));
  }
}

Json to_json(const FineTuneScore& score) {
  return {{"next_step", score.steps[0]}, {"hour", score.steps[1]}, {"day", score.steps[2]}, {"maxima", score.maxima}};
}

std::string in_words(const FineTuned& tuned) {
  std::string text =
      fmt::format("{} series, {} windows learned from; on their newest two days, loss relative to before:\n",
                  tuned.series, tuned.windows);
  const auto line = [&](const char* name, double before, double after) {
    text += fmt::format("  {:<10}{:+6.1f} %\n", name, 100 * (std::exp(after - before) - 1));
  };
  line("next step", tuned.before.steps[0], tuned.after.steps[0]);
  line("hour", tuned.before.steps[1], tuned.after.steps[1]);
  line("day", tuned.before.steps[2], tuned.after.steps[2]);
  line("maxima", tuned.before.maxima / 2, tuned.after.maxima / 2);
  return text;
}

}  // namespace

Result<BinnedHistory> binned_history(const nlohmann::ordered_json& answer) {
  BinnedHistory binned;
  try {
    const Result<std::int64_t> end = seconds_of(answer.at("history_end").get<std::string>());
    if (!end) return end.error();
    binned.end_s = *end;
    const Result<Resource> resource = api::parse_resource(answer.at("resource").get<std::string>());
    if (!resource) return resource.error();
    binned.kind = forecast::kind_of(*resource);
    const double step_s = answer.at("step_s").get<double>();
    const double steps = std::round(kBinS / step_s);
    if (!(steps >= 1) || std::abs(steps * step_s - kBinS) > 1e-6) return binned;
    const auto per_bin = static_cast<std::size_t>(steps);
    const Json& history = answer.at("history");
    std::vector<double> bins;
    for (std::size_t i = history.size() % per_bin; i < history.size(); i += per_bin) {
      double sum = 0;
      std::size_t known = 0;
      for (std::size_t j = i; j < i + per_bin; ++j) {
        if (history[j].is_null()) continue;
        sum += history[j].get<double>();
        ++known;
      }
      bins.push_back(known > 0 ? sum / static_cast<double>(known) : kMissing);
    }
    const std::span<const double> known = forecast::newest_known(bins, static_cast<int>(bins.size()));
    if (!known.empty() && forecast::all_usable(known)) binned.values = forecast::without_gaps(known);
    return binned;
  } catch (const nlohmann::json::exception& e) {
    return Error{ErrorCode::kCorrupt, fmt::format("the controller's answer is not as documented: {}", e.what())};
  }
}

Result<bool> run_tune(Client& client, const TuneCommand& command, bool json, std::ostream& out) {
  Weights begin = *forecast::global::shipped_weights();
  if (!command.from.empty()) {
    Result<Weights> read = forecast::global::read_weights(command.from);
    if (!read) return read.error();
    begin = std::move(*read);
  }
  Result<Destination> to = Destination::open(command.file);  // before what may take hours
  if (!to) return to.error();
  const Result<Json> vms = client.get("/v1/vms");
  if (!vms) return vms.error();
  std::vector<std::vector<BinnedHistory>> histories;
  {
    ProgressBar bar("reading histories");
    for (const Json& vm : *vms) {
      std::vector<BinnedHistory>& of_vm = histories.emplace_back();
      for (const Resource resource : forecast::kResources) {
        const Result<Json> answer = client.get("/v1/vms/" + url_encode(vm.at("id").get<std::string>()) +
                                               "/forecast?resource=" + forecast::to_string(resource));
        if (!answer && answer.error().code == ErrorCode::kNotFound) continue;  // not measured, or gone meanwhile
        if (!answer) return answer.error();
        Result<BinnedHistory> binned = binned_history(*answer);
        if (!binned) return binned.error();
        if (!binned->values.empty()) of_vm.push_back(std::move(*binned));
      }
      bar.show(static_cast<double>(histories.size()) / static_cast<double>(vms->size()));
    }
  }
  std::vector<TrainingSeries> series;
  for (const std::vector<BinnedHistory>& of_vm : histories) add_series(of_vm, series);
  Result<FineTuned> tuned = forecast::global::fine_tune(begin, series, command.options, [&](const std::string& line) {
    if (!json) out << line << "\n" << std::flush;
  });
  if (!tuned) {
    return with_context(tuned.error(),
                        "no VM has seven days of history in steps that divide five minutes; the controller "
                        "keeps [forecast] history_steps");
  }
  if (tuned->better) {
    const Status written = to->keep_whole(forecast::global::encode_weights(tuned->weights));
    if (!written) return written.error();
  }
  if (json) {
    out << Json{{"file", tuned->better ? Json(command.file) : Json(nullptr)},
                {"better", tuned->better},
                {"series", tuned->series},
                {"windows", tuned->windows},
                {"before", to_json(tuned->before)},
                {"after", to_json(tuned->after)}}
               .dump(2, ' ', false, Json::error_handler_t::replace)
        << "\n";
    return tuned->better;
  }
  out << in_words(*tuned);
  if (tuned->better) {
    out << command.file << " written; [forecast] weights in controller.toml names it to the controller\n";
  } else {
    out << "nothing written: that is not enough better\n";
  }
  return tuned->better;
}

}  // namespace proteus::ctl
