#include "controller/ham/policy.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include <toml++/toml.h>

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

/// Everything wrong with one file, so that an operator mends it in one go.
class Problems {
 public:
  void add(int line, std::string message) { problems_.emplace_back(line, std::move(message)); }
  bool empty() const { return problems_.empty(); }
  std::string joined(std::string_view file_name) {
    std::stable_sort(problems_.begin(), problems_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text;
    for (const auto& [line, message] : problems_) {
      if (!text.empty()) text += '\n';
      text += fmt::format("{}:{}: {}", file_name, line, message);
    }
    return text;
  }

 private:
  std::vector<std::pair<int, std::string>> problems_;
};

int line_of(const toml::node& node) { return static_cast<int>(node.source().begin.line); }

const char* type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "an array";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a number";
    case toml::node_type::boolean: return "a boolean";
    default: return "a date or time";
  }
}

/// "<number><unit>" as number × the unit's factor, rounded; nullopt if it is anything else or does not fit.
std::optional<std::int64_t> parse_quantity(std::string_view text,
                                           const std::vector<std::pair<std::string_view, double>>& units) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || !std::isfinite(number)) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& [name, factor] : units) {
    if (unit != name) continue;
    const double value = number * factor;
    if (std::abs(value) >= 9.2e18) return std::nullopt;
    return std::llround(value);
  }
  return std::nullopt;
}

const std::vector<std::pair<std::string_view, double>> kDurationUnits = {
    {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
const std::vector<std::pair<std::string_view, double>> kSizeUnits = {
    {"B", 1},           {"kB", 1e3},          {"MB", 1e6},           {"GB", 1e9},
    {"KiB", 0x1p10},    {"MiB", 0x1p20},      {"GiB", 0x1p30},       {"TiB", 0x1p40}};

/// One table of the file: typed reads that remember which keys were known.
class Section {
 public:
  Section(const toml::table& table, std::string path, Problems& problems)
      : table_(table), path_(std::move(path)), problems_(problems) {}

  int line() const { return line_of(table_); }
  std::string key_path(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  }
  void problem(std::string_view key, const std::string& message) {
    const toml::node* node = table_.get(key);
    problems_.add(node != nullptr ? line_of(*node) : line(), fmt::format("{} {}", key_path(key), message));
  }
  const toml::node* find(std::string_view key) {
    known_.emplace(key);
    return table_.get(key);
  }
  bool has(std::string_view key) const { return table_.get(key) != nullptr; }

  void read(std::string_view key, bool& value) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (const auto* boolean = node->as_boolean()) {
      value = boolean->get();
    } else {
      wrong_type(key, "true or false", *node);
    }
  }
  void read(std::string_view key, std::string& value) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (const auto* text = node->as_string()) {
      value = text->get();
      if (value.empty()) problem(key, "must not be empty");
    } else {
      wrong_type(key, "a string", *node);
    }
  }
  void read(std::string_view key, int& value, int min, int max) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    const auto* integer = node->as_integer();
    if (integer == nullptr) return wrong_type(key, "an integer", *node);
    if (integer->get() < min || integer->get() > max) {
      return problem(key, fmt::format("must be between {} and {}, not {}", min, max, integer->get()));
    }
    value = static_cast<int>(integer->get());
  }
  /// `max` is inclusive unless `below_max`.
  void read(std::string_view key, double& value, double min, double max, bool below_max = false) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    std::optional<double> number;
    if (node->is_integer() || node->is_floating_point()) number = node->value<double>();
    if (!number) return wrong_type(key, "a number", *node);
    if (!(*number >= min && (below_max ? *number < max : *number <= max))) {
      return problem(key, fmt::format("must be at least {}{}, not {}", min,
                                      std::isinf(max) ? std::string()
                                                      : fmt::format(" and {} {}", below_max ? "below" : "at most", max),
                                      *number));
    }
    value = *number;
  }
  void read(std::string_view key, Nanoseconds& value, Nanoseconds min) {
    const auto count = quantity(key, kDurationUnits, "a duration such as \"30s\", \"5m\" or \"1h\"");
    if (!count) return;
    if (*count < min.count()) return problem(key, fmt::format("must be at least {} s", to_seconds(min)));
    value = Nanoseconds(*count);
  }
  void read_size(std::string_view key, std::int64_t& value, std::int64_t min) {
    const auto count = quantity(key, kSizeUnits, "a size such as \"512MiB\" or \"2GiB\"");
    if (!count) return;
    if (*count < min) return problem(key, fmt::format("must be at least {} bytes", min));
    value = *count;
  }
  void read(std::string_view key, Automation& value) {
    std::string text;
    const bool given = has(key);
    const std::size_t line_number = static_cast<std::size_t>(given ? line_of(*table_.get(key)) : 0);
    read(key, text);
    if (!given || text.empty()) return;
    for (const Automation level :
         {Automation::kObserve, Automation::kRecommend, Automation::kApprove, Automation::kAutomatic}) {
      if (text == to_string(level)) {
        value = level;
        return;
      }
    }
    problems_.add(static_cast<int>(line_number),
                  fmt::format("{} must be observe, recommend, approve or automatic, not \"{}\"", key_path(key), text));
  }
  /// A required, non-empty array of distinct, non-empty strings.
  void read_names(std::string_view key, std::set<std::string>& values) {
    const toml::node* node = find(key);
    if (node == nullptr) return problem(key, "is missing");
    const toml::array* array = node->as_array();
    if (array == nullptr) return wrong_type(key, "an array of strings", *node);
    if (array->empty()) return problem(key, "must not be empty");
    for (const toml::node& element : *array) {
      const auto* text = element.as_string();
      if (text == nullptr) {
        problems_.add(line_of(element), fmt::format("{} must hold strings, not {}", key_path(key), type_name(element)));
      } else if (text->get().empty()) {
        problems_.add(line_of(element), fmt::format("{} must not hold an empty string", key_path(key)));
      } else if (!values.insert(text->get()).second) {
        problems_.add(line_of(element), fmt::format("{} names \"{}\" twice", key_path(key), text->get()));
      }
    }
  }

  /// To be called last: whatever nobody asked for is an error, for a misspelt key would silently keep its default.
  void finish() {
    for (const auto& [key, node] : table_) {
      if (known_.contains(std::string(key.str()))) continue;
      problems_.add(line_of(node), fmt::format("unknown key {}", key_path(key.str())));
    }
  }

 private:
  void wrong_type(std::string_view key, std::string_view wanted, const toml::node& node) {
    problem(key, fmt::format("must be {}, not {}", wanted, type_name(node)));
  }
  std::optional<std::int64_t> quantity(std::string_view key,
                                       const std::vector<std::pair<std::string_view, double>>& units,
                                       std::string_view wanted) {
    const toml::node* node = find(key);
    if (node == nullptr) return std::nullopt;
    const auto* text = node->as_string();
    if (text == nullptr) {
      wrong_type(key, wanted, *node);
      return std::nullopt;
    }
    const auto count = parse_quantity(text->get(), units);
    if (!count) problem(key, fmt::format("must be {}, not \"{}\"", wanted, text->get()));
    return count;
  }

  const toml::table& table_;
  std::string path_;
  Problems& problems_;
  std::set<std::string> known_;
};

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void read_strategies(Section& section, Strategies& strategies) {
  section.read("reshape", strategies.reshape);
  section.read("migrate", strategies.migrate);
}

void read_prices(Section& section, Prices& prices) {
  section.read("contention_per_core_hour", prices.contention_per_core_hour, 0, kInfinity);
  section.read("memory_shortage_per_gib_hour", prices.memory_shortage_per_gib_hour, 0, kInfinity);
  section.read("capacity_per_core_hour", prices.capacity_per_core_hour, 0, kInfinity);
  section.read("imbalance_per_host_hour", prices.imbalance_per_host_hour, 0, kInfinity);
  section.read("migration_per_gib", prices.migration_per_gib, 0, kInfinity);
  section.read("action_fixed", prices.action_fixed, 0, kInfinity);
  section.read("downtime_per_second", prices.downtime_per_second, 0, kInfinity);
  section.read("rule_violation_per_hour", prices.rule_violation_per_hour, 0, kInfinity);
}

void read_limits(Section& section, Limits& limits) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  section.read("cooldown", limits.cooldown, Nanoseconds(0));
  section.read("concurrent_migrations", limits.concurrent_migrations, 0, 1'000'000);
  section.read("concurrent_migrations_per_host", limits.concurrent_migrations_per_host, 0, 1'000'000);
  section.read("moves_per_hour", limits.moves_per_hour, 0, 1'000'000);
  section.read("cpu_headroom", limits.cpu_headroom, 0, 1, true);
  section.read("memory_headroom", limits.memory_headroom, 0, 1, true);
  section.read("staleness", limits.staleness, milliseconds(100));
  section.read("payback", limits.payback, seconds(1));
  section.read("gain_min", limits.gain_min, 0, 1);
  section.read("lookahead", limits.lookahead, Nanoseconds(0));
  section.read_size("migration_bandwidth", limits.migration_bandwidth_bytes_per_s, kMiB);
  int downtime_ms = static_cast<int>(limits.downtime_ms_max);
  section.read("downtime_ms_max", downtime_ms, 1, 600'000);
  limits.downtime_ms_max = downtime_ms;
}

/// Reads [[rules.KIND]]: every element through `read_one`, with its name, VMs and line already in place.
template <typename Rule>
void read_rules(Section& rules, std::string_view kind, std::vector<Rule>& out, std::set<std::string>& names,
                Problems& problems, const std::function<void(Section&, Rule&)>& read_one) {
  const toml::node* node = rules.find(kind);
  if (node == nullptr) return;
  const toml::array* array = node->as_array();
  if (array == nullptr) {
    return rules.problem(kind, fmt::format("must be written as [[rules.{}]]", kind));
  }
  for (const toml::node& element : *array) {
    const toml::table* table = element.as_table();
    if (table == nullptr) {
      problems.add(line_of(element), fmt::format("rules.{} must hold tables, not {}", kind, type_name(element)));
      continue;
    }
    Rule rule;
    Section section(*table, fmt::format("rules.{}", kind), problems);
    rule.line = section.line();
    if (section.has("name")) {
      section.read("name", rule.name);
      if (!rule.name.empty() && !names.insert(fmt::format("{}/{}", kind, rule.name)).second) {
        section.problem("name", fmt::format("\"{}\" is taken by another {} rule", rule.name, kind));
      }
    } else {
      section.problem("name", "is missing");
      section.find("name");
    }
    section.read_names("vms", rule.vms);
    read_one(section, rule);
    section.finish();
    out.push_back(std::move(rule));
  }
}

void read_size_rule(Section& section, SizeRule& rule) {
  section.read("vcpus_min", rule.vcpus_min, 1, 1 << 20);
  section.read("vcpus_max", rule.vcpus_max, 1, 1 << 20);
  section.read("cpu_cores_min", rule.cpu_cores_min, 0.01, 1e9);
  section.read("cpu_cores_max", rule.cpu_cores_max, 0.01, 1e9);
  section.read_size("memory_min", rule.memory_bytes_min, kMiB);
  section.read_size("memory_max", rule.memory_bytes_max, kMiB);
  if (rule.vcpus_min > rule.vcpus_max) section.problem("vcpus_min", "is more than vcpus_max");
  if (rule.cpu_cores_min > rule.cpu_cores_max) section.problem("cpu_cores_min", "is more than cpu_cores_max");
  if (rule.memory_bytes_min > rule.memory_bytes_max) section.problem("memory_min", "is more than memory_max");
}

void read_all_rules(Section& rules, Policy& policy, Problems& problems) {
  std::set<std::string> names;
  const auto read_affinity = [](Section& section, AffinityRule& rule) {
    section.read("hard", rule.hard);
    section.read("price_per_hour", rule.price_per_hour, 0, kInfinity);
    if (rule.hard && section.has("price_per_hour")) {
      section.problem("price_per_hour", "has no effect on a hard rule; set hard = false");
    }
  };
  read_rules<AffinityRule>(rules, "affinity", policy.affinity, names, problems,
                           [&](Section& section, AffinityRule& rule) {
                             rule.apart = false;
                             read_affinity(section, rule);
                           });
  read_rules<AffinityRule>(rules, "anti_affinity", policy.affinity, names, problems,
                           [&](Section& section, AffinityRule& rule) {
                             rule.apart = true;
                             read_affinity(section, rule);
                           });
  read_rules<PinRule>(rules, "pin", policy.pins, names, problems,
                      [](Section& section, PinRule& rule) { section.read_names("hosts", rule.hosts); });
  read_rules<ExcludeRule>(rules, "exclude", policy.exclusions, names, problems, [](Section&, ExcludeRule&) {});
  read_rules<SizeRule>(rules, "size", policy.sizes, names, problems, read_size_rule);
  read_rules<AutomationRule>(rules, "automation", policy.automation_rules, names, problems,
                             [](Section& section, AutomationRule& rule) {
                               if (!section.has("level")) section.problem("level", "is missing");
                               section.read("level", rule.level);
                             });
}

}  // namespace

Result<Policy> parse_policy(std::string_view toml_text, std::string_view file_name) {
  Problems problems;
  toml::table table;
  try {
    table = toml::parse(toml_text, file_name);
  } catch (const toml::parse_error& error) {
    problems.add(static_cast<int>(error.source().begin.line), std::string(error.description()));
    return Error{ErrorCode::kInvalidArgument, problems.joined(file_name)};
  }

  Policy policy;
  Section root(table, "", problems);
  root.read("name", policy.name);
  root.read("automation", policy.automation);
  const auto with_table = [&](std::string_view key, const auto& read) {
    const toml::node* node = root.find(key);
    if (node == nullptr) return;
    const toml::table* child = node->as_table();
    if (child == nullptr) return root.problem(key, fmt::format("must be a table, not {}", type_name(*node)));
    Section section(*child, std::string(key), problems);
    read(section);
    section.finish();
  };
  with_table("strategies", [&](Section& section) { read_strategies(section, policy.strategies); });
  with_table("prices", [&](Section& section) { read_prices(section, policy.prices); });
  with_table("limits", [&](Section& section) { read_limits(section, policy.limits); });
  with_table("rules", [&](Section& section) { read_all_rules(section, policy, problems); });
  root.finish();

  if (!problems.empty()) return Error{ErrorCode::kInvalidArgument, problems.joined(file_name)};
  return policy;
}

}  // namespace proteus::ham
