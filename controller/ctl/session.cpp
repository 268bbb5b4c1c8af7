#include "controller/ctl/session.h"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "controller/ctl/destination.h"
#include "controller/ctl/exit_code.h"
#include "controller/ctl/history_command.h"
#include "controller/ctl/json_text.h"
#include "controller/ctl/plot.h"
#include "controller/ctl/progress_bar.h"
#include "controller/ctl/request_path.h"
#include "controller/ctl/svg.h"
#include "controller/ctl/table.h"
#include "controller/ctl/top.h"

namespace proteus::ctl {
namespace {

constexpr mode_t kRecordingMode = 0600;  // it holds names of VMs and people

std::string user_name() {
  // sudo's user is who asked; the audit trail should not say "root" for everybody.
  if (const char* sudo_user = std::getenv("SUDO_USER")) return sudo_user;
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(getuid());
}

std::string action_number(const std::string& id) {
  return !id.empty() && (id[0] == 'A' || id[0] == 'a') ? id.substr(1) : id;
}

}  // namespace

int Session::show(const std::string& path, const Print& print) {
  const Result<Json> answer = client_.get(path);
  if (!answer) return report(answer.error());
  if (options_.json) {
    std::cout << json_text(*answer) << "\n";
  } else {
    std::cout << print(*answer);
  }
  return 0;
}

int Session::show_current(const std::string& path, const Print& print) {
  const int code = show(path, print);
  if (code == 0) warn_if_old();
  return code;
}

void Session::warn_if_old() {
  const Result<Json> status = client_.get("/v1/status");
  const std::string problem = status ? status->at("ingest").value("problem", "") : "";
  if (problem.empty()) return;
  std::cout.flush();
  std::cerr << "proteusctl: this is how it was when the controller last took telemetry; now it takes none: " << problem
            << "\n";
}

int Session::post(const std::string& path, Json body, const std::string& done) {
  body["by"] = user_name();
  const Result<Json> answer = client_.post(path, body);
  if (!answer) return report(answer.error());
  std::cout << (options_.json ? json_text(*answer) : done) << "\n";
  return 0;
}

VmNames Session::names() {
  if (options_.json) return {};
  const Result<Json> vms = client_.get("/v1/vms");
  return vms ? vm_names(*vms) : VmNames{};
}

int Session::forecast() {
  const Result<Json> answer =
      client_.get("/v1/vms/" + url_encode(options_.vm) + "/forecast?resource=" + url_encode(options_.resource));
  if (!answer) return report(answer.error());
  if (!options_.svg_file.empty()) {
    if (const Status written = write_text(options_.svg_file, svg_forecast(*answer)); !written) {
      return report(written.error());
    }
  }
  std::ostream& out = Destination::words(options_.svg_file, std::cout);
  if (options_.json) {
    out << json_text(*answer) << "\n";
  } else if (options_.plot || options_.svg_file.empty()) {
    out << (options_.plot ? plot_forecast(*answer, 100, 20) : print_forecast(*answer));
  } else {
    out << options_.svg_file << " drawn\n";
  }
  return 0;
}

int Session::accuracy() {
  return show("/v1/accuracy" + (options_.vm.empty() ? "" : "?vm=" + url_encode(options_.vm)),
              [&](const Json& answer) { return print_accuracy(answer, !options_.vm.empty()); });
}

int Session::explain() {
  std::string id = options_.id;
  bool decision = false;
  if (!id.empty() && (id[0] == 'A' || id[0] == 'D' || id[0] == 'a' || id[0] == 'd')) {
    decision = id[0] == 'D' || id[0] == 'd';
    id.erase(0, 1);
  }
  if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos) {
    return report(
        {ErrorCode::kInvalidArgument, "'" + options_.id + "' is not an id: A12 is an action, D345 a decision"});
  }
  const VmNames known = names();
  if (decision) return show("/v1/decisions/" + id, [&](const Json& answer) { return print_decision(answer, known); });
  return show("/v1/actions/" + id, [&](const Json& answer) { return print_action(answer, known); });
}

int Session::history() {
  HistoryRequest asked{options_.limit, options_.all,  options_.vms, options_.hosts,
                       options_.kinds, options_.from, options_.to};
  return show(history_path(asked), [&](const Json& entries) {
    if (entries.empty() && asked.selects()) return std::string("nothing in the journal is of what was asked for\n");
    return print_history(entries, names());
  });
}

int Session::record() {
  RequestPath path("/v1/record");
  path.add("from", options_.from);
  path.add("to", options_.to);
  path.add("host", options_.hosts);
  return download(path.text(), kRecordingMode);
}

/// Nothing measured is "not found", of a query as of an export, whether or not a series was named.
int Session::query() {
  const auto wait = is_answered_at_the_end(options_.series) ? Client::Wait::kLong : Client::Wait::kUsual;
  const Result<Json> answer = client_.get(query_path(options_.series), wait);
  if (!answer) return report(answer.error());
  if (options_.json) {
    std::cout << json_text(*answer) << "\n";
  } else {
    std::cout << print_query(*answer, names_vms_by_uuid(*answer) ? names() : VmNames{});
  }
  if (options_.series.to.empty()) warn_if_old();
  return answer->at("lines").empty() ? kNotFound : 0;
}

int Session::download(const std::string& path, mode_t mode) {
  // not among the bytes of a file that is shown on the terminal
  const bool is_shown = Destination::is_standard_output(options_.file) && isatty(STDOUT_FILENO) == 1;
  std::optional<ProgressBar> bar;
  if (!is_shown) bar.emplace(options_.file);
  const auto progress = [&](std::uint64_t bytes, std::uint64_t of) {
    if (!bar) return;
    if (of > 0) {
      bar->show(static_cast<double>(bytes) / static_cast<double>(of));
    } else {
      bar->show_text(format_bytes(static_cast<double>(bytes)));
    }
  };
  const Result<Client::Downloaded> got = client_.download(path, options_.file, mode, progress);
  bar.reset();
  if (!got) return report(got.error());
  std::ostream& out = Destination::words(options_.file, std::cout);
  if (options_.json) {
    out << json_text({{"file", options_.file}, {"bytes", got->bytes}, {"warning", got->warning}}) << "\n";
  } else {
    out << options_.file << ": " << got->bytes << " bytes\n";
    if (!got->warning.empty()) std::cerr << "proteusctl: warning: " << got->warning << "\n";
  }
  if (!got->nothing_measured) return 0;
  std::cout.flush();
  std::cerr << "proteusctl: nothing was measured in that time\n";
  return kNotFound;
}

int Session::tune() {
  const Result<bool> better =
      run_tune(client_, options_.tune, options_.json, Destination::words(options_.tune.file, std::cout));
  if (!better) return report(better.error());
  return *better ? 0 : kNotBetter;
}

int Session::watch() {
  const Status done = top(client_, options_.interval_s, options_.frames);
  return done ? 0 : report(done.error());
}

int Session::export_series() {
  const int code = download(export_path(options_.series));
  if (options_.series.to.empty() && (code == 0 || code == kNotFound)) warn_if_old();
  return code;
}

int Session::maintenance() {
  return post("/v1/hosts/" + url_encode(options_.host) + "/maintenance", Json{{"on", options_.on_off == "on"}},
              "maintenance of " + options_.host + " is " + options_.on_off);
}

int Session::plan() {
  return show_current("/v1/plan", [&](const Json& plan) { return print_plan(plan, names()); });
}

int Session::settle(const std::string& verb) {
  const std::string number = action_number(options_.id);
  if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos) {
    return report({ErrorCode::kInvalidArgument, "'" + options_.id + "' is not an action: A12 or 12"});
  }
  return post("/v1/actions/" + number + "/" + verb, Json::object(),
              "action " + options_.id + (verb == "approve" ? " approved" : " rejected"));
}

}  // namespace proteus::ctl
