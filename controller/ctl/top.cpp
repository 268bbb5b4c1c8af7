#include "controller/ctl/top.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "controller/ctl/plot.h"
#include "controller/ctl/print.h"
#include "controller/ctl/table.h"

namespace proteus::ctl {
namespace {

constexpr std::size_t kHistoryColumns = 24;
constexpr std::size_t kJournalLines = 8;
// Keys are looked at between two requests only.
constexpr std::chrono::seconds kTimeout{2};

volatile std::sig_atomic_t interrupted = 0;

/// Raw keys, hidden cursor, alternate screen; all undone at the end.
class Terminal {
 public:
  Terminal() : is_terminal_(isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1) {
    if (!is_terminal_) return;
    tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    write("\x1b[?1049h\x1b[?25l");
  }
  ~Terminal() {
    if (!is_terminal_) return;
    write("\x1b[?25h\x1b[?1049l");
    tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void draw(const std::string& text) const {
    if (!is_terminal_) return write(text + "\n");
    winsize size{};
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    const std::size_t rows = known ? size.ws_row : 24;
    const std::size_t columns = known ? size.ws_col : 80;
    std::string screen = "\x1b[H";
    std::size_t row = 0;
    for (std::size_t at = 0; at < text.size() && row < rows; ++row) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      screen += clip(text.substr(at, end - at), columns) + "\x1b[K" + (row + 1 < rows ? "\r\n" : "");
      at = end + 1;
    }
    write(screen + "\x1b[J");
  }

  /// Waits for a key or the time to pass. True if the user wants to leave.
  bool wait(double seconds) const {
    if (interrupted != 0) return true;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = poll(&input, is_terminal_ ? 1 : 0, static_cast<int>(seconds * 1000));
    if (interrupted != 0) return true;
    char key = 0;
    return ready > 0 && read(STDIN_FILENO, &key, 1) == 1 && (key == 'q' || key == 'Q');
  }

 private:
  static void write(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  }
  static std::string clip(const std::string& line, std::size_t columns) {
    std::size_t shown = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if ((static_cast<unsigned char>(line[i]) & 0xC0) == 0x80) continue;
      if (shown++ == columns) return line.substr(0, i);
    }
    return line;
  }

  bool is_terminal_;
  termios before_{};
};

/// leaves: asked in front of each request; true ends it with an error.
Result<std::string> picture(Client& client, std::map<std::string, std::vector<double>>& past,
                            const std::function<bool()>& leaves) {
  const auto get = [&](const std::string& path) {
    return leaves() ? Result<Json>(Error{ErrorCode::kUnavailable, "nobody looks any more"}) : client.get(path);
  };
  const Result<Json> status = get("/v1/status");
  if (!status) return status.error();
  const Result<Json> hosts = get("/v1/hosts");
  if (!hosts) return hosts.error();
  const Result<Json> vms = get("/v1/vms");
  if (!vms) return vms.error();
  const Result<Json> plan = get("/v1/plan");
  if (!plan) return plan.error();
  const Result<Json> history = get(fmt::format("/v1/history?limit={}", kJournalLines));
  if (!history) return history.error();
  const VmNames names = vm_names(*vms);

  std::string text =
      fmt::format("proteus  {}   policy {} ({}){}   cycle {}   {} VMs on {} hosts   q leaves\n\n",
                  status->at("cycle").at("time").get<std::string>(), status->at("policy").get<std::string>(),
                  status->at("automation").get<std::string>(), status->at("paused").get<bool>() ? "  PAUSED" : "",
                  status->at("cycle").at("number").get<std::uint64_t>(), vms->size(), hosts->size());
  if (const auto problem = status->at("ingest").value("problem", ""); !problem.empty()) {
    text += "NO TELEMETRY IS TAKEN: " + problem + "\n\n";
  }
  text += print_hosts(*hosts) + "\n";
  Table table({"VM", "HOST", "DEMAND, LAST MINUTE", ">NOW", ">P90 AHEAD", ">LIMIT", ">WAIT/RUN", "WHAT IS DONE TO IT"});
  std::map<std::string, std::string> doing;
  for (const Json& action : plan->at("open_actions")) {
    doing[action.at("vm").get<std::string>()] =
        describe_operation(action.at("operation")) + " (" + action.at("state").get<std::string>() + ")";
  }
  for (const Json& vm : *vms) {
    const auto id = vm.at("id").get<std::string>();
    const Json& cpu = vm.at("cpu");
    const Json& vcpus = vm.at("allocation").at("vcpus");
    std::vector<double>& series = past[id];
    const auto figure = [&](const char* name) {
      return cpu.at(name).is_number() ? cpu.at(name).get<double>() : std::numeric_limits<double>::quiet_NaN();
    };
    const auto text_of = [](double value) { return std::isnan(value) ? "-" : fmt::format("{:.2f}", value); };
    series.push_back(figure("demand_cores"));
    if (series.size() > kHistoryColumns) series.erase(series.begin());
    std::string p90 = "-";
    if (vm.at("forecasts").contains("cpu")) {
      p90 = fmt::format("{:.2f}", vm.at("forecasts").at("cpu").at("window_max").at("p90").get<double>());
    }
    table.add({vm.at("name").get<std::string>(), vm.at("host").get<std::string>(),
               sparkline(series, kHistoryColumns, vcpus.is_number() ? vcpus.get<double>() : 1), text_of(series.back()),
               p90, text_of(figure("limit_cores")), text_of(figure("run_queue_wait_ratio")), doing[id]});
  }
  text += table.text() + "\n";
  if (plan->at("decision").is_object()) text += plan->at("decision").at("summary").get<std::string>() + "\n\n";
  text += print_history(*history, names);
  return text;
}

}  // namespace

Status top(Client& client, double interval_s, int frames) {
  std::map<std::string, std::vector<double>> past;
  client.set_timeout(kTimeout);
  Result<std::string> first = picture(client, past, [] { return false; });
  if (!first) return first.error();
  interrupted = 0;
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  const Terminal terminal;
  terminal.draw(*first);
  for (int drawn = 1; frames == 0 || drawn < frames; ++drawn) {
    if (terminal.wait(interval_s)) break;
    bool left = false;
    const Result<std::string> next = picture(client, past, [&] { return left = terminal.wait(0); });
    if (left) break;
    terminal.draw(next ? *next : "proteusctl: " + next.error().message + "; trying again\n");
  }
  return {};
}

}  // namespace proteus::ctl
