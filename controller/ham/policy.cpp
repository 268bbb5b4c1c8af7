#include "controller/ham/policy.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <type_traits>

#include "common/toml_document.h"

namespace proteus::ham {

const char* to_string(Automation level) {
  switch (level) {
    case Automation::kObserve: return "observe";
    case Automation::kRecommend: return "recommend";
    case Automation::kApprove: return "approve";
    case Automation::kAutomatic: return "automatic";
  }
  return "observe";
}

namespace {

using Table = TomlDocument::Table;

constexpr double kPriceMax = 1e9;
constexpr int kCountMax = 1'000'000;
/// A headroom of 1 would leave nothing to give.
constexpr double kHeadroomMax = 0.95;
constexpr Nanoseconds kNone{0};
constexpr Nanoseconds kDay = std::chrono::hours(24);

void read_automation(Table& table, std::string_view key, Automation& level) {
  if (!table.has(key)) return;
  std::string text = to_string(level);
  table.read(key, text);
  for (const Automation known :
       {Automation::kObserve, Automation::kRecommend, Automation::kApprove, Automation::kAutomatic}) {
    if (text == to_string(known)) {
      level = known;
      return;
    }
  }
  table.problem(key, fmt::format("{} must be observe, recommend, approve or automatic, not \"{}\"", key, text));
}

/// A required, non-empty list of distinct, non-empty strings.
void read_names(Table& table, std::string_view key, std::set<std::string>& out) {
  table.require(key);
  if (!table.has(key)) return;
  std::vector<std::string> names{""};  // stays if the type is wrong, which is reported already
  table.read(key, names);
  if (names.empty()) table.problem(key, fmt::format("{} must not be empty", key));
  if (names == std::vector<std::string>{""}) {
    table.problem(key, fmt::format("{} must name something", key));
    return;
  }
  for (const std::string& name : names) {
    if (name.empty()) {
      table.problem(key, fmt::format("{} must not hold an empty string", key));
    } else if (!out.insert(name).second) {
      table.problem(key, fmt::format("{} names \"{}\" twice", key, name));
    }
  }
}

void read_prices(Table table, Prices& prices) {
  table.read("contention_per_core_hour", prices.contention_per_core_hour, 0, kPriceMax);
  table.read("shortfall_per_core_hour", prices.shortfall_per_core_hour, 0, kPriceMax);
  table.read("memory_shortage_per_gib_hour", prices.memory_shortage_per_gib_hour, 0, kPriceMax);
  table.read("storage_wait_per_core_hour", prices.storage_wait_per_core_hour, 0, kPriceMax);
  table.read("network_wait_per_core_hour", prices.network_wait_per_core_hour, 0, kPriceMax);
  table.read("exit_wait_per_core_hour", prices.exit_wait_per_core_hour, 0, kPriceMax);
  table.read("memory_wait_per_core_hour", prices.memory_wait_per_core_hour, 0, kPriceMax);
  table.read("capacity_per_core_hour", prices.capacity_per_core_hour, 0, kPriceMax);
  table.read("imbalance_per_host_hour", prices.imbalance_per_host_hour, 0, kPriceMax);
  table.read("migration_per_gib", prices.migration_per_gib, 0, kPriceMax);
  table.read("action_fixed", prices.action_fixed, 0, kPriceMax);
  table.read("downtime_per_second", prices.downtime_per_second, 0, kPriceMax);
  table.read("rule_violation_per_hour", prices.rule_violation_per_hour, 0, kPriceMax);
  table.read("energy_per_kwh", prices.energy_per_kwh, 0, kPriceMax);
  table.read("waiting_per_vm_hour", prices.waiting_per_vm_hour, 0, kPriceMax);
  table.read("crowding_per_host_hour", prices.crowding_per_host_hour, 0, kPriceMax);
}

void read_limits(Table table, Limits& limits) {
  table.read_duration("cooldown", limits.cooldown, kNone, 30 * kDay);
  table.read("concurrent_migrations", limits.concurrent_migrations, 0, kCountMax);
  table.read("concurrent_migrations_per_host", limits.concurrent_migrations_per_host, 0, kCountMax);
  table.read("settle_hosts", limits.settle_hosts);
  table.read("moves_per_hour", limits.moves_per_hour, 0, kCountMax);
  table.read("moves_per_hour_per_host", limits.moves_per_hour_per_host, 0, kCountMax);
  table.read("moves_per_hour_per_vm", limits.moves_per_hour_per_vm, 0, kCountMax);
  table.read("cpu_headroom", limits.cpu_headroom, 0, kHeadroomMax);
  table.read("memory_headroom", limits.memory_headroom, 0, kHeadroomMax);
  table.read_duration("payback", limits.payback, std::chrono::seconds(1), 30 * kDay);
  table.read_duration("sleep_payback", limits.sleep_payback, kNone, 30 * kDay);
  table.read_duration("awake_min", limits.awake_min, kNone, 30 * kDay);
  table.read("slowdown_free", limits.slowdown_free, 0, 1);
  table.read("memory_promise", limits.memory_promise, 0, 2);
  table.read("memory_bursts", limits.memory_bursts, 0, kCountMax);
  table.read("memory_comfort", limits.memory_comfort, 0, 2);
  table.read("gain_min", limits.gain_min, 0, 1);
  table.read("gain_floor", limits.gain_floor, 0, kPriceMax);
  table.read("emptying_floor", limits.emptying_floor, 0, kPriceMax);
  table.read_duration("lookahead", limits.lookahead, kNone, 30 * kDay);
  table.read_bytes("migration_bandwidth", limits.migration_bandwidth_bytes_per_s, kMiB, 1024 * kGiB);
  table.read("downtime_ms_max", limits.downtime_ms_max, 1, 600'000);
  table.read("spare_hosts", limits.spare_hosts, 0, kCountMax);
}

/// A required list of hosts: globs, or "@group", which is replaced by the globs of that host group.
void read_hosts(Table& table, const std::vector<HostGroup>& groups, std::set<std::string>& out) {
  std::set<std::string> names;
  read_names(table, "hosts", names);
  for (const std::string& name : names) {
    if (name.front() != '@') {
      out.insert(name);
      continue;
    }
    const auto group = std::find_if(groups.begin(), groups.end(),
                                    [&](const HostGroup& known) { return known.name == name.substr(1); });
    if (group == groups.end()) {
      table.problem("hosts",
                    fmt::format("hosts names \"{}\", but there is no host_group \"{}\"", name, name.substr(1)));
    } else {
      out.insert(group->hosts.begin(), group->hosts.end());
    }
  }
}

/// "HH:MM", up to 24:00, as minutes after midnight.
void read_time_of_day(Table& table, std::string_view key, int& minute) {
  if (!table.has(key)) return;
  std::string text = "00:00";  // stays if the type is wrong, which is reported already
  table.read(key, text);
  const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 1000; };
  const bool shaped = text.size() == 5 && text[2] == ':';
  const int hours = shaped ? digit(0) * 10 + digit(1) : 1000;
  const int minutes = shaped ? digit(3) * 10 + digit(4) : 1000;
  if (minutes > 59 || hours * 60 + minutes > 24 * 60) {
    table.problem(key,
                  fmt::format("{} must be a time of day from \"00:00\" to \"24:00\" (UTC), not \"{}\"", key, text));
    return;
  }
  minute = hours * 60 + minutes;
}

void read_days(Table& table, unsigned& days) {
  if (!table.has("days")) return;
  constexpr std::array kNames = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
  std::set<std::string> names;
  read_names(table, "days", names);
  days = 0;
  for (const std::string& name : names) {
    const auto day = std::find(kNames.begin(), kNames.end(), name);
    if (day == kNames.end()) {
      table.problem("days", fmt::format("days holds \"{}\", which is none of mon, tue, wed, thu, fri, sat, sun", name));
    } else {
      days |= 1U << (day - kNames.begin());
    }
  }
}

/// Reads [[rules.KIND]]: every element through `read_one`, with its name, line and, if it is about VMs, those already
/// in place.
template <typename Rule>
void read_rules(Table& rules, const char* kind, std::vector<Rule>& out,
                const std::function<void(Table&, Rule&)>& read_one) {
  std::set<std::string> names;
  for (Table& table : rules.tables(kind)) {
    Rule rule;
    rule.line = table.line();
    table.require("name");
    table.read("name", rule.name);
    if (rule.name.empty()) {
      if (table.has("name")) table.problem("name", "name must not be empty");
    } else if (!names.insert(rule.name).second) {
      table.problem("name", fmt::format("name \"{}\" is taken by another {} rule", rule.name, kind));
    }
    if constexpr (std::is_base_of_v<VmRule, Rule>) read_names(table, "vms", rule.vms);
    read_one(table, rule);
    out.push_back(std::move(rule));
  }
}

void read_affinity(Table& table, AffinityRule& rule, bool apart) {
  rule.apart = apart;
  std::string scope = "host";
  table.read("scope", scope);
  if (scope != "host" && scope != "fault_domain") {
    table.problem("scope", fmt::format("scope must be host or fault_domain, not \"{}\"", scope));
  }
  rule.by_fault_domain = scope == "fault_domain";
  table.read("hard", rule.hard);
  table.read("price_per_hour", rule.price_per_hour, 0, kPriceMax);
  if (rule.hard && table.has("price_per_hour")) {
    table.problem("price_per_hour", "price_per_hour has no effect on a hard rule; set hard = false");
  }
}

void read_size(Table& table, SizeRule& rule) {
  table.read("vcpus_min", rule.vcpus_min, 1, 1 << 20);
  table.read("vcpus_max", rule.vcpus_max, 1, 1 << 20);
  table.read("cpu_cores_min", rule.cpu_cores_min, 0.01, 1e9);
  table.read("cpu_cores_max", rule.cpu_cores_max, 0.01, 1e9);
  table.read_bytes("memory_min", rule.memory_bytes_min, kMiB, std::int64_t{1} << 60);
  table.read_bytes("memory_max", rule.memory_bytes_max, kMiB, std::int64_t{1} << 60);
  if (rule.vcpus_min > rule.vcpus_max) table.problem("vcpus_min", "vcpus_min is more than vcpus_max");
  if (rule.cpu_cores_min > rule.cpu_cores_max)
    table.problem("cpu_cores_min", "cpu_cores_min is more than cpu_cores_max");
  if (rule.memory_bytes_min > rule.memory_bytes_max) table.problem("memory_min", "memory_min is more than memory_max");
}

void read_reservation(Table& table, ReservationRule& rule) {
  table.read("cpu_cores", rule.cpu_cores, 0, 1e9);
  table.read_bytes("memory", rule.memory_bytes, 0, std::int64_t{1} << 60);
  if (!table.has("cpu_cores") && !table.has("memory")) {
    table.problem("name", "a reservation needs cpu_cores or memory, else it has no effect");
  }
}

void read_window(Table& table, WindowRule& rule) {
  std::string effect = "allow";
  table.read("effect", effect);
  if (effect != "allow" && effect != "forbid") {
    table.problem("effect", fmt::format("effect must be allow or forbid, not \"{}\"", effect));
  }
  rule.forbid = effect == "forbid";
  std::string what = "migrate";
  table.read("what", what);
  if (what != "migrate" && what != "all") {
    table.problem("what", fmt::format("what must be migrate or all, not \"{}\"", what));
  }
  rule.migrate_only = what == "migrate";
  read_days(table, rule.days);
  read_time_of_day(table, "from", rule.from_minute);
  read_time_of_day(table, "to", rule.to_minute);
  if (rule.from_minute == rule.to_minute) table.problem("to", "the window is empty: from and to are the same");
}

void read_headroom(Table& table, const std::vector<HostGroup>& groups, HeadroomRule& rule) {
  read_hosts(table, groups, rule.hosts);
  table.read("cpu", rule.cpu, 0, kHeadroomMax);
  table.read("memory", rule.memory, 0, kHeadroomMax);
  if (!table.has("cpu") && !table.has("memory")) {
    table.problem("name", "a headroom rule needs cpu or memory, else it has no effect");
  }
}

void read_power(Table& table, const std::vector<HostGroup>& groups, PowerRule& rule) {
  read_hosts(table, groups, rule.hosts);
  table.require("idle_watts");
  table.read("idle_watts", rule.idle_watts, 0, 1e6);
  table.require("peak_watts");
  table.read("peak_watts", rule.peak_watts, 0, 1e6);
  if (rule.peak_watts < rule.idle_watts) table.problem("peak_watts", "peak_watts is less than idle_watts");
}

void read_helper(Table& table, HelperRule& rule) {
  table.read("vcpus", rule.vcpus, 1, 1 << 10);
  table.read_bytes("memory", rule.memory_bytes, kMiB, std::int64_t{1} << 50);
  table.read("share", rule.share, 0.01, 1);
  table.read("overhead", rule.overhead, 1, 100);
  table.read("price", rule.price, 0, kPriceMax);
  table.read("price_per_hour", rule.price_per_hour, 0, kPriceMax);
  table.read("gain_floor", rule.gain_floor, 0, kPriceMax);
  table.read("most", rule.most, 0, kCountMax);
  table.read_duration("ready_after", rule.ready_after, kNone, kDay);
}

void read_all_rules(Table rules, Policy& policy) {
  const std::vector<HostGroup>& groups = policy.host_groups;
  read_rules<HostGroup>(rules, "host_group", policy.host_groups,
                        [](Table& table, HostGroup& rule) { read_hosts(table, {}, rule.hosts); });
  read_rules<FaultDomain>(rules, "fault_domain", policy.fault_domains,
                          [&](Table& table, FaultDomain& rule) { read_hosts(table, groups, rule.hosts); });
  read_rules<HeadroomRule>(rules, "headroom", policy.headrooms,
                           [&](Table& table, HeadroomRule& rule) { read_headroom(table, groups, rule); });
  read_rules<PowerRule>(rules, "power", policy.powers,
                        [&](Table& table, PowerRule& rule) { read_power(table, groups, rule); });
  read_rules<ReservationRule>(rules, "reservation", policy.reservations, read_reservation);
  read_rules<PriorityRule>(rules, "priority", policy.priorities, [](Table& table, PriorityRule& rule) {
    table.require("weight");
    table.read("weight", rule.weight, 0.01, 100);
  });
  read_rules<ValueRule>(rules, "value", policy.values, [](Table& table, ValueRule& rule) {
    table.read("per_vcpu_hour", rule.per_vcpu_hour, 0, kPriceMax);
    table.read("per_gib_hour", rule.per_gib_hour, 0, kPriceMax);
    if (!table.has("per_vcpu_hour") && !table.has("per_gib_hour")) {
      table.problem("name", "a value rule needs per_vcpu_hour or per_gib_hour, else it has no effect");
    }
  });
  read_rules<WindowRule>(rules, "window", policy.windows, read_window);
  read_rules<AffinityRule>(rules, "affinity", policy.affinity,
                           [](Table& table, AffinityRule& rule) { read_affinity(table, rule, false); });
  read_rules<AffinityRule>(rules, "anti_affinity", policy.affinity,
                           [](Table& table, AffinityRule& rule) { read_affinity(table, rule, true); });
  read_rules<PinRule>(rules, "pin", policy.pins,
                      [&](Table& table, PinRule& rule) { read_hosts(table, groups, rule.hosts); });
  read_rules<ExcludeRule>(rules, "exclude", policy.exclusions, [](Table&, ExcludeRule&) {});
  read_rules<SizeRule>(rules, "size", policy.sizes, read_size);
  read_rules<HelperRule>(rules, "helper", policy.helpers, read_helper);
  read_rules<AutomationRule>(rules, "automation", policy.automation_rules, [](Table& table, AutomationRule& rule) {
    table.require("level");
    read_automation(table, "level", rule.level);
  });
}

}  // namespace

Result<Policy> parse_policy(std::string_view toml_text, std::string_view file_name) {
  TomlDocument document(toml_text, file_name);
  Table root = document.root();
  Policy policy;
  root.read("name", policy.name);
  if (policy.name.empty()) root.problem("name", "name must not be empty");
  read_automation(root, "automation", policy.automation);
  Table strategies = root.table("strategies");
  strategies.read("reshape", policy.strategies.reshape);
  strategies.read("migrate", policy.strategies.migrate);
  strategies.read("consolidate", policy.strategies.consolidate);
  strategies.read("spawn", policy.strategies.spawn);
  read_prices(root.table("prices"), policy.prices);
  read_limits(root.table("limits"), policy.limits);
  read_all_rules(root.table("rules"), policy);
  if (policy.strategies.consolidate && policy.prices.energy_per_kwh <= 0) {
    strategies.problem("consolidate", "consolidate has no effect while energy_per_kwh in [prices] is 0");
  }
  if (const Status status = document.finish(); !status) return status.error();
  return policy;
}

}  // namespace proteus::ham
