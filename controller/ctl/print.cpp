#include "controller/ctl/print.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "controller/ctl/plot.h"
#include "controller/ctl/table.h"

namespace proteus::ctl {
namespace {

/// Pages are a second or two behind what is received.
constexpr std::uint64_t kUnreadShown = 10'000;

std::string name_of(const VmNames& names, const std::string& uuid) {
  const auto found = names.find(uuid);
  return found == names.end() ? uuid : found->second;
}

std::string text_or(const Json& value, const char* otherwise) {
  return value.is_string() ? value.get<std::string>() : otherwise;
}

/// Of cores and the like; "-": not measured.
std::string figure_of(const Json& value) {
  return value.is_number() ? fmt::format("{:.2f}", value.get<double>()) : "-";
}

/// "2/4": those that it has, and may have; "-": not told yet.
std::string vcpus_of(const Json& allocation) {
  if (!allocation.at("vcpus").is_number()) return "-";
  return fmt::format("{}/{}", allocation.at("vcpus").get<int>(), allocation.at("vcpus_max").get<int>());
}

/// An RFC 3339 time in UTC for a column of them.
std::string time_of(const Json& time) {
  if (!time.is_string()) return "-";
  const auto text = time.get<std::string>();
  return text.size() >= 24 ? text.substr(0, 10) + " " + text.substr(11, 12) : text;
}

/// A line if the host's telemetry is dated well before or after it came; else nothing.
std::string wrong_clock(const Json& host) {
  constexpr double kUsual = 3;  // s: ticks, batches, a busy controller
  const double lag = host.value("lag_s", 0.0);
  if (std::abs(lag) <= kUsual) return {};
  return fmt::format("{}: its telemetry is dated {:.0f} s {} it came: one of the two clocks is wrong\n",
                     host.at("id").get<std::string>(), std::abs(lag), lag > 0 ? "before" : "after");
}

std::vector<std::string> score_cells(const std::string& label, const Json& score, double nothing) {
  const auto number = [&](const char* term) { return fmt::format("{:+.3f}", score.at(term).get<double>()); };
  // Cost and latency are subtracted; printed with their sign in the sum.
  const auto minus = [&](const char* term) { return fmt::format("{:+.3f}", 0.0 - score.at(term).get<double>()); };
  return {label,
          number("performance"),
          number("utilisation"),
          minus("cost"),
          minus("latency"),
          number("total"),
          fmt::format("{:+.3f}", score.at("total").get<double>() - nothing)};
}

/// Long plans are told in full by --json only.
constexpr std::size_t kActionsPrinted = 30;

}  // namespace

VmNames vm_names(const Json& vms) {
  VmNames names;
  for (const Json& vm : vms) names[vm.at("id").get<std::string>()] = vm.at("name").get<std::string>();
  return names;
}

std::string describe_operation(const Json& operation) {
  const auto kind = operation.at("kind").get<std::string>();
  if (kind == "set_cpu_quota") {
    const auto quota = operation.at("quota_us").get<std::int64_t>();
    const auto period = operation.at("period_us").get<std::int64_t>();
    if (quota < 0) return "CPU quota: unlimited";
    return fmt::format("CPU quota: {:.0f} % of each vCPU",
                       100.0 * static_cast<double>(quota) / static_cast<double>(period));
  }
  if (kind == "set_cpu_shares") return fmt::format("CPU shares: {}", operation.at("shares").get<std::int64_t>());
  if (kind == "set_vcpus") return fmt::format("vCPUs: {}", operation.at("count").get<int>());
  if (kind == "set_memory") return fmt::format("memory: {}", format_bytes(operation.at("bytes").get<double>()));
  if (kind == "migrate") return fmt::format("migrate to {}", operation.at("target").get<std::string>());
  return kind;
}

std::string print_status(const Json& status) {
  const Json& cycle = status.at("cycle");
  const Json& hosts = status.at("hosts");
  const Json& ingest = status.at("ingest");
  const Json& store = status.at("store");
  std::string text = fmt::format("controller  {} {}, term {}, since {}\n", status.at("controller").get<std::string>(),
                                 status.at("version").get<std::string>(), status.at("term").get<std::uint64_t>(),
                                 status.at("started_at").get<std::string>());
  text += fmt::format("policy      {}, automation {}{}\n", status.at("policy").get<std::string>(),
                      status.at("automation").get<std::string>(),
                      status.at("paused").get<bool>() ? ", PAUSED: nothing is begun (proteusctl resume)" : "");
  text += fmt::format("cycle       {} at {}, took {:.1f} ms\n", cycle.at("number").get<std::uint64_t>(),
                      cycle.at("time").get<std::string>(), cycle.at("duration_ms").get<double>());
  text += fmt::format("hosts       {} known, {} with fresh telemetry, {} taking commands; {} VMs\n",
                      hosts.at("known").get<int>(), hosts.at("fresh").get<int>(), hosts.at("commandable").get<int>(),
                      status.at("vms").get<int>());
  text += fmt::format(
      "telemetry   {} frames, {} repeats ignored, {} messages refused, {} attempts with unknown keys{}\n",
      ingest.at("frames").get<std::uint64_t>(), ingest.at("repeats").get<std::uint64_t>(),
      ingest.at("refused").get<std::uint64_t>(), ingest.at("refused_keys").get<std::uint64_t>(),
      ingest.at("problem").get<std::string>().empty() ? ""
                                                      : "; NOT ACCEPTED: " + ingest.at("problem").get<std::string>());
  const auto left = ingest.value("left_to_agents", std::uint64_t{0});
  const auto dropped = status.value("words_dropped", std::uint64_t{0});
  if (left + dropped > 0) {
    text += fmt::format("            {} messages and {} words on commands were left to their agents so far\n", left,
                        dropped);
  }
  if (const auto surplus = ingest.value("surplus_connections", std::uint64_t{0}); surplus > 0) {
    text += fmt::format("            {} connections refused of keys that have too many\n", surplus);
  }
  if (ingest.value("over_limit", std::uint64_t{0}) > 0) {
    text += fmt::format("limits      {} messages refused or left to their agent, the last of {}\n",
                        ingest.at("over_limit").get<std::uint64_t>(), ingest.at("over_limit_last").get<std::string>());
  }
  if (store.value("entities_forgotten_early", std::uint64_t{0}) + store.value("frames_not_placed", std::uint64_t{0}) >
      0) {
    text += fmt::format("            {} entities forgotten before their time, {} frames in no series\n",
                        store.at("entities_forgotten_early").get<std::uint64_t>(),
                        store.at("frames_not_placed").get<std::uint64_t>());
  }
  const Json& forecasts = status.at("forecasts");
  if (forecasts.at("rounds_behind").get<std::uint64_t>() > 1 ||
      forecasts.at("observations_dropped").get<std::uint64_t>() > 0) {
    text += fmt::format("forecasts   {} rounds behind, {} observations dropped\n",
                        forecasts.at("rounds_behind").get<std::uint64_t>(),
                        forecasts.at("observations_dropped").get<std::uint64_t>());
  }
  text += fmt::format("store       {} messages, {} journal entries, {} on disk\n",
                      store.at("raw_messages").get<std::uint64_t>(), store.at("journal_entries").get<std::uint64_t>(),
                      format_bytes(store.at("disk_bytes").get<double>()));
  if (const auto problem = store.value("series_problem", std::string()); !problem.empty()) {
    text += fmt::format("            NO PAGES ARE WRITTEN, telemetry stays as it was received: {}\n", problem);
  }
  if (const auto undecoded = store.value("frames_undecoded", std::uint64_t{0}); undecoded > 0) {
    text += fmt::format("            {} frames in no series, as what explains them is missing or damaged\n", undecoded);
  }
  if (const auto unread = store.value("series_unread", std::uint64_t{0}); unread > kUnreadShown) {
    text += fmt::format("            pages are {} messages behind\n", unread);
  }
  return text;
}

std::string print_hosts(const Json& hosts) {
  if (hosts.empty()) return "no host has reported yet\n";
  Table table({"HOST", "STATE", ">CPU USED", ">OF CORES", ">FORECAST P90", "UTILISATION", ">WAIT/RUN", ">MEMORY FREE",
               ">OF", "VMS"});
  std::string clocks;
  for (const Json& host : hosts) {
    const Json& cpu = host.at("cpu");
    const Json& memory = host.at("memory");
    std::string state = host.value("catching_up", false)                         ? "catching up"
                        : !host.at("fresh").get<bool>()                          ? "stale"
                        : host.at("maintenance").get<bool>()                     ? "maintenance"
                        : !host.at("libvirt_trouble").get<std::string>().empty() ? "no libvirt"
                        : !host.at("commandable").get<bool>()                    ? "watched only"
                                                                                 : "ok";
    std::string vms;
    for (const Json& vm : host.at("vms")) vms += (vms.empty() ? "" : " ") + vm.get<std::string>();
    const double capacity = cpu.at("capacity_cores").get<double>();
    const double p90 = cpu.at("forecast_p90_cores").get<double>();
    table.add({host.at("id").get<std::string>(), state, fmt::format("{:.2f}", cpu.at("used_cores").get<double>()),
               fmt::format("{:.2f}", capacity), fmt::format("{:.2f}", p90),
               bar(cpu.at("utilisation").get<double>(), 16, capacity > 0 ? p90 / capacity : -1),
               fmt::format("{:.2f}", host.at("run_queue_wait_ratio").get<double>()),
               format_bytes(memory.at("available_bytes").get<double>()),
               format_bytes(memory.at("capacity_bytes").get<double>()), vms});
    if (host.at("fresh").get<bool>()) clocks += wrong_clock(host);
  }
  return table.text() + clocks;
}

std::string print_vms(const Json& vms) {
  if (vms.empty()) return "no VM has been seen yet\n";
  Table table({"VM", "HOST", "STATE", ">CPU USED", ">DEMAND", ">P90 AHEAD", ">LIMIT", ">VCPUS", ">WAIT/RUN", ">MEMORY",
               "MODEL", "NOTE"});
  for (const Json& vm : vms) {
    const Json& cpu = vm.at("cpu");
    const Json& allocation = vm.at("allocation");
    std::string p90 = "-";
    std::string model = "-";
    if (vm.at("forecasts").contains("cpu")) {
      const Json& made = vm.at("forecasts").at("cpu");
      p90 = fmt::format("{:.2f}", made.at("window_max").at("p90").get<double>());
      model = made.at("model").get<std::string>() + (made.at("stale").get<bool>() ? " (stale)" : "");
    }
    table.add(
        {vm.at("name").get<std::string>(), vm.at("host").get<std::string>(),
         std::string(vm.at("running").get<bool>() ? "running" : "not running") +
             (vm.value("fresh", true) ? "" : " (stale)"),
         figure_of(cpu.at("used_cores")), figure_of(cpu.at("demand_cores")), p90, figure_of(cpu.at("limit_cores")),
         vcpus_of(allocation), figure_of(cpu.at("run_queue_wait_ratio")),
         allocation.at("memory_bytes").is_number() ? format_bytes(allocation.at("memory_bytes").get<double>()) : "-",
         model, vm.at("unmovable").is_string() ? "cannot move: " + vm.at("unmovable").get<std::string>() : ""});
  }
  return table.text();
}

std::string print_forecast(const Json& outlook) {
  const bool cores = outlook.at("unit").get<std::string>() == "cores";
  const auto level = [&](double value) { return cores ? fmt::format("{:.3f}", value) : format_bytes(value); };
  const Json& peak = outlook.at("window_max");
  std::string text =
      fmt::format("{} of {} in {}, model {}{}, made at {}\n", outlook.at("resource").get<std::string>(),
                  outlook.at("name").get<std::string>(), outlook.at("unit").get<std::string>(),
                  outlook.at("model").get<std::string>(), outlook.at("stale").get<bool>() ? " (stale, widened)" : "",
                  outlook.at("made_at").get<std::string>());
  text += fmt::format("peak within the horizon: p50 {}, p90 {}, p99 {}\n", level(peak.at("p50").get<double>()),
                      level(peak.at("p90").get<double>()), level(peak.at("p99").get<double>()));
  Table steps({">AHEAD", ">P50", ">P90", ">P99"});
  const double step_s = outlook.at("step_s").get<double>();
  double ahead = 0;
  for (const Json& step : outlook.at("steps")) {
    ahead += step_s;
    steps.add({format_seconds(ahead), level(step.at("p50").get<double>()), level(step.at("p90").get<double>()),
               level(step.at("p99").get<double>())});
  }
  text += steps.text();
  Table models({"MODEL", ">PINBALL LOSS", ">BELOW P90", ">SCORED", "NOTE"});
  for (const Json& accuracy : outlook.at("accuracy").at("models")) {
    const bool set_aside = accuracy.at("set_aside").get<bool>();
    models.add({accuracy.at("model").get<std::string>(), level(accuracy.at("pinball_loss").get<double>()),
                fmt::format("{:.0f} %", accuracy.at("coverage_p90").get<double>() * 100),
                fmt::format("{}", accuracy.at("scored_steps").get<std::int64_t>()),
                accuracy.at("chosen").get<bool>() ? "chosen"
                : set_aside                       ? "set aside: " + accuracy.at("reason").get<std::string>()
                                                  : ""});
  }
  if (!models.empty()) text += "\n" + models.text();
  return text;
}

namespace {

/// What learning thought of a chosen action; empty: nothing.
std::string learned_of(const Json& action) {
  if (!action.contains("learned") || !action.at("learned").is_object()) return {};
  const Json& note = action.at("learned");
  std::string text = fmt::format(
      "  learning: actions like it turn out to be worth {:+.2f}/h (± {:.2f}) beside the {:.2f}/h that the score "
      "expects",
      note.at("believed_error").get<double>(), note.at("believed_error_deviation").get<double>(),
      note.at("predicted").get<double>());
  if (note.at("control").get<bool>()) text += "; its VM is in the control group, which is left to the rules";
  if (!note.at("preferred").get<bool>()) text += "; it was drawn among what the score holds equal";
  if (!note.at("learned_act").get<bool>()) text += "; learning would have held it back";
  return text + "\n";
}

/// What learning thinks of the best change that was not made.
std::string opinion_of(const Json& best) {
  const Json& note = best.at("note");
  return fmt::format(
      "of the best change that was not made, {}: it would gain {:.2f}/h by the score, {:.2f}/h are asked for; actions "
      "like it turn out to be worth {:+.2f}/h (± {:.2f}) beside what the score expects, {:+.2f}/h of that is certain. "
      "What the score finds insufficient stays so\n",
      best.at("label").get<std::string>(), note.at("gain").get<double>(), note.at("gain_required").get<double>(),
      note.at("believed_error").get<double>(), note.at("believed_error_deviation").get<double>(),
      note.at("correction").get<double>());
}

/// What learning changed.
std::string learning_of(const Json& decision) {
  if (!decision.contains("learning") || !decision.at("learning").is_object()) return {};
  const Json& learning = decision.at("learning");
  std::string text = fmt::format("\nlearning {} (revision {})", learning.at("acting").get<bool>() ? "acts" : "watches",
                                 learning.at("revision").get<std::uint64_t>());
  if (!learning.at("acting").get<bool>()) {
    text += ": the rules decided alone\n";
  } else {
    text += fmt::format(": it corrected the gains of {} of the changes looked at and held {} back\n",
                        learning.at("corrected").get<std::uint64_t>(), learning.at("held").size());
  }
  if (learning.at("best_not_done").is_object()) text += opinion_of(learning.at("best_not_done"));
  if (learning.at("held").empty()) return text;
  Table held({"HELD BACK BY LEARNING", ">GAIN BY SCORE/H", ">REQUIRED", ">CERTAIN CORRECTION", "RULES ALONE"});
  for (const Json& action : learning.at("held")) {
    const Json& note = action.at("note");
    const Json& alone = action.at("rules_alone_would_act");
    held.add({action.at("label").get<std::string>(), fmt::format("{:.2f}", note.at("gain").get<double>()),
              fmt::format("{:.2f}", note.at("gain_required").get<double>()),
              fmt::format("{:+.2f}", note.at("correction").get<double>()),
              alone.is_null()     ? "not looked up this time"
              : alone.get<bool>() ? "would have done it"
                                  : "other plan"});
  }
  text += "\n" + held.text();
  if (learning.at("rules_alone").is_string()) {
    text += "the rules alone would have chosen: " + learning.at("rules_alone").get<std::string>() + "\n";
  }
  return text;
}

}  // namespace

std::string print_decision(const Json& decision, const VmNames& names) {
  std::string text = fmt::format("decision {} at {}, policy {}\n{}\n\n", decision.at("id").get<std::uint64_t>(),
                                 decision.at("time").get<std::string>(), decision.at("policy").get<std::string>(),
                                 decision.at("summary").get<std::string>());
  Table scores({"CANDIDATE", ">PERFORMANCE", ">UTILISATION", ">COST", ">LATENCY", ">= SCORE/H", ">GAIN/H"});
  const double nothing = decision.at("do_nothing").at("score").at("total").get<double>();
  const std::string chosen = decision.at("chosen").at("label").get<std::string>();
  scores.add(score_cells("→ " + chosen, decision.at("chosen").at("score"), nothing));
  if (const auto idle = decision.at("do_nothing").at("label").get<std::string>(); idle != chosen) {
    scores.add(score_cells("  " + idle, decision.at("do_nothing").at("score"), nothing));
  }
  for (const Json& alternative : decision.at("alternatives")) {
    const auto label = alternative.at("label").get<std::string>();
    if (label != chosen) scores.add(score_cells("  " + label, alternative.at("score"), nothing));
  }
  text += scores.text();
  text +=
      "amounts per hour in the policy's currency: waiting and shortage, idle and overfull capacity, one-off prices,\n"
      "time lost until it takes effect; gain is over doing nothing\n";
  const Json& actions = decision.at("chosen").at("actions");
  for (std::size_t i = 0; i < actions.size() && i < kActionsPrinted; ++i) {
    const Json& action = actions[i];
    text += fmt::format("\n{}. {} on {}: {}\n  {}\n", i + 1, name_of(names, action.at("vm").get<std::string>()),
                        action.at("host").get<std::string>(), describe_operation(action.at("operation")),
                        action.at("reason").get<std::string>());
    if (action.at("expected_duration_s").get<double>() > 0) {
      text += fmt::format("  expected to take {}, downtime {} ms\n",
                          format_seconds(action.at("expected_duration_s").get<double>()),
                          action.at("expected_downtime_ms").get<std::int64_t>());
    }
    text += learned_of(action);
    std::string after;
    for (const Json& index : action.at("after")) {
      after += fmt::format("{}{}", after.empty() ? "" : ", ", index.get<std::size_t>() + 1);
    }
    if (!after.empty()) text += fmt::format("  begins when {} is done\n", after);
  }
  if (actions.size() > kActionsPrinted) {
    text += fmt::format("\n… and {} more actions (--json has all)\n", actions.size() - kActionsPrinted);
  }
  text += learning_of(decision);
  for (const Json& change : decision.at("power")) {
    text += fmt::format("\nadvice: {} {}: {}\n", change.at("awake").get<bool>() ? "wake" : "let sleep",
                        change.at("host").get<std::string>(), change.at("reason").get<std::string>());
  }
  for (const Json& change : decision.at("helpers")) {
    text += fmt::format("\nadvice: {} helper of {} on {}: {}\n", change.at("start").get<bool>() ? "start a" : "end the",
                        name_of(names, change.at("vm").get<std::string>()), change.at("host").get<std::string>(),
                        change.at("reason").get<std::string>());
  }
  if (!decision.at("outlooks").empty()) {
    Table outlooks({"VM", "HOST", ">P50 PEAK", ">P90", ">P99", ">LIMIT", ">REACHED IN", "MODEL"});
    for (const Json& outlook : decision.at("outlooks")) {
      const Json& peak = outlook.at("cpu_window_max_cores");
      outlooks.add(
          {name_of(names, outlook.at("vm").get<std::string>()), outlook.at("host").get<std::string>(),
           fmt::format("{:.2f}", peak.at("p50").get<double>()), fmt::format("{:.2f}", peak.at("p90").get<double>()),
           fmt::format("{:.2f}", peak.at("p99").get<double>()),
           fmt::format("{:.2f}", outlook.at("cpu_limit_cores").get<double>()),
           outlook.at("until_limit_s").is_number() ? format_seconds(outlook.at("until_limit_s").get<double>()) : "-",
           outlook.at("model").get<std::string>()});
    }
    text += "\nCPU forecasts used, in cores\n" + outlooks.text();
  }
  if (!decision.at("rejections").empty()) {
    Table rejections({"NOT ALLOWED", "RULE", "BECAUSE"});
    for (const Json& rejection : decision.at("rejections")) {
      rejections.add({rejection.at("candidate").get<std::string>(), rejection.at("rule").get<std::string>(),
                      rejection.at("reason").get<std::string>()});
    }
    text += "\n" + rejections.text();
  }
  return text;
}

std::string print_action(const Json& action, const VmNames& names) {
  std::string text = fmt::format(
      "action {} of decision {}: {} on {}: {}\n  {}\n  state {}{}\n", action.at("id").get<std::uint64_t>(),
      action.at("decision").get<std::uint64_t>(), name_of(names, action.at("vm").get<std::string>()),
      action.at("host").get<std::string>(), describe_operation(action.at("operation")),
      action.at("reason").get<std::string>(), action.at("state").get<std::string>(),
      action.at("message").get<std::string>().empty() ? "" : ": " + action.at("message").get<std::string>());
  if (action.contains("migration")) {
    const Json& migration = action.at("migration");
    text += fmt::format(
        "  copied {} of {}, downtime {} ms\n", format_bytes(migration.at("bytes_processed").get<double>()),
        format_bytes(migration.at("bytes_total").get<double>()), migration.at("downtime_ms").get<std::int64_t>());
  }
  Table steps({"TIME", "AT AGENT", "STATE", "WORD"});
  for (const Json& step : action.at("transitions")) {
    steps.add({time_of(step.at("time")), time_of(step.at("agent_time")), step.at("to").get<std::string>(),
               step.at("message").get<std::string>()});
  }
  if (!steps.empty()) text += "\n" + steps.text();
  if (action.contains("explanation") && action.at("explanation").is_object()) {
    text += "\n" + print_decision(action.at("explanation"), names);
  }
  return text;
}

std::string print_plan(const Json& plan, const VmNames& names) {
  std::string text = fmt::format("automation {}{}\n", plan.at("automation").get<std::string>(),
                                 plan.at("paused").get<bool>() ? ", PAUSED" : "");
  text += plan.at("decision").is_object() ? print_decision(plan.at("decision"), names)
                                          : std::string("no decision cycle has run yet\n");
  Table actions({">ACTION", "VM", "HOST", "WHAT", "STATE", "WORD"});
  for (const Json& action : plan.at("open_actions")) {
    actions.add({fmt::format("{}", action.at("id").get<std::uint64_t>()),
                 name_of(names, action.at("vm").get<std::string>()), action.at("host").get<std::string>(),
                 describe_operation(action.at("operation")), action.at("state").get<std::string>(),
                 action.at("message").get<std::string>()});
  }
  text += actions.empty() ? "\nno action is open\n" : "\n" + actions.text();
  return text;
}

std::string print_history(const Json& entries, const VmNames& names) {
  if (entries.empty()) return "the journal is empty\n";
  Table table({"TIME", "WHAT", ">ID", "VM", "WORD"});
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const auto type = entry->at("type").get<std::string>();
    const auto number = [&](const char* key) { return fmt::format("{}", entry->at(key).get<std::uint64_t>()); };
    std::string id;
    std::string vm;
    std::string word;
    if (type == "decision") {
      id = "D" + number("id");
      word = entry->at("summary").get<std::string>();
    } else if (type == "action") {
      id = "A" + number("id");
      vm = name_of(names, entry->at("vm").get<std::string>());
      word = describe_operation(entry->at("operation")) + "; " + entry->at("reason").get<std::string>();
    } else if (type == "transition") {
      id = "A" + number("action");
      word = entry->at("from").get<std::string>() + " → " + entry->at("to").get<std::string>();
      if (!entry->at("message").get<std::string>().empty()) word += ": " + entry->at("message").get<std::string>();
    } else if (type == "operator") {
      word = entry->at("input").get<std::string>() + " by " + entry->at("by").get<std::string>();
      if (entry->contains("action")) id = "A" + number("action");
      if (entry->contains("host")) word += ", host " + entry->at("host").get<std::string>();
    } else if (type == "agent") {
      word = entry->at("host").get<std::string>() +
             (entry->at("commandable").get<bool>() ? " takes commands" : " takes no commands") +
             (entry->at("reason").get<std::string>().empty() ? "" : ": " + entry->at("reason").get<std::string>());
    } else if (type == "started") {
      const bool renewal = entry->contains("renewal") && entry->at("renewal").get<bool>();
      word = fmt::format("controller {} {} {}, term {}", text_or(entry->at("controller"), ""),
                         text_or(entry->at("version"), ""), renewal ? "renewed its run" : "began",
                         entry->at("term").get<std::uint64_t>());
    } else if (type == "command") {
      id = "A" + number("action");
      vm = name_of(names, entry->at("vm").get<std::string>());
      word = fmt::format("command {} to {}: {}", entry->at("id").get<std::uint64_t>(),
                         entry->at("host").get<std::string>(), describe_operation(entry->at("operation")));
    } else if (type == "update") {
      id = "A" + number("action");
      vm = name_of(names, entry->at("vm").get<std::string>());
      word = fmt::format("{} says of command {}: {} {}", entry->at("host").get<std::string>(),
                         entry->at("command").get<std::uint64_t>(), entry->at("state").get<std::string>(),
                         entry->at("message").get<std::string>());
    } else if (type == "outcome") {
      id = "A" + number("action");
      vm = name_of(names, entry->at("vm").get<std::string>());
      word = fmt::format("turned out to be worth {:.2f}/h, {:.2f}/h had been expected",
                         entry->at("realised").get<double>(), entry->at("note").at("predicted").get<double>());
    } else if (type == "cycle") {
      id = number("number");
    } else if (type == "signal") {
      vm = name_of(names, entry->at("vm").get<std::string>());
      word = fmt::format("signal '{}' by {}: {} points, foretells {:g} s", entry->at("name").get<std::string>(),
                         entry->at("by").get<std::string>(), number("points"), entry->at("lead_s").get<double>());
    } else if (type == "forecast_state") {
      word =
          fmt::format("forecasts that the run begins with: {} series, {} signals", number("series"), number("signals"));
    } else if (type == "learning_state") {
      word = fmt::format("what had been learned of actions' outcomes: {} bytes", number("bytes"));
    } else if (type == "profile_state") {
      word = fmt::format("what had been learned of hosts: {} records", number("records"));
    }
    table.add({time_of(entry->at("time")), type, id, vm, word});
  }
  return table.text();
}

}  // namespace proteus::ctl
