#include "controller/ham/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace proteus::ham {
namespace {

using testing::HasSubstr;

std::string error_of(const std::string& text) {
  const auto policy = parse_policy(text, "p.toml");
  return policy ? std::string() : policy.error().message;
}

/// Everything that a file can set, so that two policies can be compared.
std::string figures(const Policy& p) {
  std::ostringstream out;
  const Prices& c = p.prices;
  const Limits& l = p.limits;
  out << p.name << ' ' << to_string(p.automation) << ' ' << p.strategies.reshape << p.strategies.migrate
      << p.strategies.consolidate << p.strategies.spawn << ' ' << c.contention_per_core_hour << ' '
      << c.shortfall_per_core_hour << ' ' << c.memory_shortage_per_gib_hour << ' ' << c.storage_wait_per_core_hour
      << ' ' << c.network_wait_per_core_hour << ' ' << c.exit_wait_per_core_hour << ' ' << c.memory_wait_per_core_hour
      << ' ' << c.capacity_per_core_hour << ' ' << c.imbalance_per_host_hour << ' ' << c.migration_per_gib << ' '
      << c.action_fixed << ' ' << c.downtime_per_second << ' ' << c.rule_violation_per_hour << ' ' << c.energy_per_kwh
      << ' ' << c.waiting_per_vm_hour << ' ' << c.crowding_per_host_hour << ' ' << l.sleep_payback.count() << ' '
      << l.awake_min.count() << ' ' << l.settle_hosts << ' ' << l.gain_floor << ' ' << l.emptying_floor << ' '
      << l.slowdown_free << ' ' << l.memory_promise << ' ' << l.memory_bursts << ' ' << l.memory_comfort << ' '
      << l.cooldown.count() << ' ' << l.concurrent_migrations << ' ' << l.concurrent_migrations_per_host << ' '
      << l.moves_per_hour << ' ' << l.moves_per_hour_per_host << ' ' << l.moves_per_hour_per_vm << ' ' << l.spare_hosts
      << ' ' << l.cpu_headroom << ' ' << l.memory_headroom << ' ' << l.payback.count() << ' ' << l.gain_min << ' '
      << l.lookahead.count() << ' ' << l.migration_bandwidth_bytes_per_s << ' ' << l.downtime_ms_max;
  for (const auto& r : p.affinity) {
    out << "\naffinity " << r.name << ' ' << r.apart << r.hard << r.by_fault_domain << ' ' << r.price_per_hour << ' '
        << r.vms.size();
  }
  for (const auto& r : p.pins) out << "\npin " << r.name << ' ' << r.vms.size() << ' ' << r.hosts.size();
  for (const auto& r : p.exclusions) out << "\nexclude " << r.name << ' ' << r.vms.size();
  for (const auto& r : p.sizes) {
    out << "\nsize " << r.name << ' ' << r.vcpus_min << ' ' << r.vcpus_max << ' ' << r.cpu_cores_min << ' '
        << r.cpu_cores_max << ' ' << r.memory_bytes_min << ' ' << r.memory_bytes_max;
  }
  for (const auto& r : p.reservations) out << "\nreservation " << r.name << ' ' << r.cpu_cores << ' ' << r.memory_bytes;
  for (const auto& r : p.priorities) out << "\npriority " << r.name << ' ' << r.weight;
  for (const auto& r : p.values) out << "\nvalue " << r.name << ' ' << r.per_vcpu_hour << ' ' << r.per_gib_hour;
  for (const auto& r : p.windows) {
    out << "\nwindow " << r.name << ' ' << r.forbid << r.migrate_only << ' ' << r.days << ' ' << r.from_minute << ' '
        << r.to_minute;
  }
  for (const auto& r : p.host_groups) out << "\nhost_group " << r.name << ' ' << r.hosts.size();
  for (const auto& r : p.fault_domains) out << "\nfault_domain " << r.name << ' ' << r.hosts.size();
  for (const auto& r : p.headrooms) out << "\nheadroom " << r.name << ' ' << r.cpu << ' ' << r.memory;
  for (const auto& r : p.powers) out << "\npower " << r.name << ' ' << r.idle_watts << ' ' << r.peak_watts;
  for (const auto& r : p.helpers) {
    out << "\nhelper " << r.name << ' ' << r.vcpus << ' ' << r.memory_bytes << ' ' << r.share << ' ' << r.overhead
        << ' ' << r.price << ' ' << r.price_per_hour << ' ' << r.gain_floor << ' ' << r.most << ' '
        << r.ready_after.count();
  }
  for (const auto& r : p.automation_rules) out << "\nautomation " << r.name << ' ' << to_string(r.level);
  return out.str();
}

std::string read_sample() {
  std::ifstream file(PROTEUS_SOURCE_DIR "/packaging/config/policy.toml");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Policy, EmptyFileIsTheDefault) {
  const auto policy = parse_policy("", "p.toml");
  ASSERT_TRUE(policy);
  EXPECT_EQ(figures(*policy), figures(Policy{}));
}

TEST(Policy, ShippedSampleIsTheDefault) {
  const std::string text = read_sample();
  ASSERT_FALSE(text.empty());
  const auto policy = parse_policy(text, "policy.toml");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(figures(*policy), figures(Policy{}));
}

// The sample shows each key as "#key = default"; taking the # away must give the defaults again, and its example rules.
TEST(Policy, ShippedSampleShowsTheTrueDefaults) {
  std::istringstream lines(read_sample());
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    const bool is_key = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    text += (is_key ? line.substr(1) : line) + "\n";
  }
  const auto policy = parse_policy(text, "policy.toml");
  ASSERT_TRUE(policy) << policy.error().message;
  Policy without_rules = *policy;
  EXPECT_EQ(without_rules.affinity.size(), 2u);
  EXPECT_EQ(without_rules.pins.size(), 1u);
  EXPECT_EQ(without_rules.exclusions.size(), 1u);
  EXPECT_EQ(without_rules.sizes.size(), 1u);
  EXPECT_EQ(without_rules.automation_rules.size(), 1u);
  EXPECT_EQ(without_rules.reservations.size(), 1u);
  EXPECT_EQ(without_rules.priorities.size(), 1u);
  EXPECT_EQ(without_rules.windows.size(), 1u);
  EXPECT_EQ(without_rules.host_groups.size(), 1u);
  EXPECT_EQ(without_rules.fault_domains.size(), 1u);
  EXPECT_EQ(without_rules.headrooms.size(), 1u);
  EXPECT_EQ(without_rules.powers.size(), 1u);
  ASSERT_EQ(without_rules.helpers.size(), 1u);
  HelperRule shown = without_rules.helpers[0];
  const HelperRule by_default;
  EXPECT_EQ(std::tuple(shown.vcpus, shown.memory_bytes, shown.share, shown.overhead, shown.price, shown.price_per_hour),
            std::tuple(by_default.vcpus, by_default.memory_bytes, by_default.share, by_default.overhead,
                       by_default.price, by_default.price_per_hour));
  EXPECT_EQ(std::tuple(shown.gain_floor, shown.most, shown.ready_after),
            std::tuple(by_default.gain_floor, by_default.most, by_default.ready_after));
  without_rules.helpers.clear();
  without_rules.reservations.clear();
  without_rules.priorities.clear();
  without_rules.values.clear();
  without_rules.windows.clear();
  without_rules.host_groups.clear();
  without_rules.fault_domains.clear();
  without_rules.headrooms.clear();
  without_rules.powers.clear();
  without_rules.affinity.clear();
  without_rules.pins.clear();
  without_rules.exclusions.clear();
  without_rules.sizes.clear();
  without_rules.automation_rules.clear();
  EXPECT_EQ(figures(without_rules), figures(Policy{}));
}

TEST(Policy, ReadsHelperRules) {
  const auto policy = parse_policy(R"(
[strategies]
spawn = false
[[rules.helper]]
name = "web"
vms = ["web*"]
vcpus = 2
memory = "1GiB"
share = 0.4
overhead = 1.2
price = 3
price_per_hour = 0.1
gain_floor = 0.2
most = 4
ready_after = "30s"
)",
                                   "p.toml");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_FALSE(policy->strategies.spawn);
  ASSERT_EQ(policy->helpers.size(), 1u);
  const HelperRule& rule = policy->helpers[0];
  EXPECT_EQ(rule.vms, std::set<std::string>{"web*"});
  EXPECT_EQ(std::tuple(rule.vcpus, rule.memory_bytes, rule.share, rule.overhead, rule.price, rule.price_per_hour),
            std::tuple(2, kGiB, 0.4, 1.2, 3.0, 0.1));
  EXPECT_EQ(std::tuple(rule.gain_floor, rule.most, rule.ready_after),
            std::tuple(0.2, 4, Nanoseconds(std::chrono::seconds(30))));
  EXPECT_THAT(error_of("[[rules.helper]]\nname = \"a\"\nvms = [\"*\"]\nshare = 1.5\n"), HasSubstr("p.toml:4"));
  EXPECT_THAT(error_of("[[rules.helper]]\nname = \"a\"\nvms = [\"*\"]\noverhead = 0.9\n"), HasSubstr("overhead"));
  EXPECT_THAT(error_of("[[rules.helper]]\nname = \"a\"\n"), HasSubstr("vms"));
}

TEST(Policy, ReadsTheRulesOfHostsAndTimes) {
  const auto policy = parse_policy(R"(
[strategies]
consolidate = true
[prices]
energy_per_kwh = 30
[limits]
moves_per_hour_per_host = 4
moves_per_hour_per_vm = 2
spare_hosts = 0
[[rules.pin]]
name = "licensed"
vms = ["oracle"]
hosts = ["@big", "h9"]
[[rules.host_group]]
name = "big"
hosts = ["h1", "h2"]
[[rules.fault_domain]]
name = "rack1"
hosts = ["@big"]
[[rules.anti_affinity]]
name = "replicas"
vms = ["db*"]
scope = "fault_domain"
[[rules.headroom]]
name = "old"
hosts = ["h7"]
cpu = 0.3
[[rules.power]]
name = "all"
hosts = ["*"]
idle_watts = 120
peak_watts = 300
[[rules.reservation]]
name = "gold"
vms = ["a"]
cpu_cores = 2
memory = "4GiB"
[[rules.priority]]
name = "gold"
vms = ["a"]
weight = 5
[[rules.value]]
name = "gold"
vms = ["a"]
per_vcpu_hour = 0.5
per_gib_hour = 0.25
[[rules.window]]
name = "office"
vms = ["*"]
effect = "forbid"
what = "all"
days = ["mon", "fri"]
from = "08:00"
to = "17:30"
)",
                                   "p.toml");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->pins[0].hosts, (std::set<std::string>{"h1", "h2", "h9"}));
  EXPECT_EQ(
      figures(*policy).substr(figures(*policy).find("\naffinity")),
      "\naffinity replicas 111 10 1\npin licensed 1 3\nreservation gold 2 4294967296\npriority gold 5\n"
      "value gold 0.5 0.25\nwindow office 10 17 480 1050\nhost_group big 2\nfault_domain rack1 2\nheadroom old 0.3 -1\n"
      "power all 120 300");
  EXPECT_TRUE(policy->strategies.consolidate);
  EXPECT_EQ(policy->limits.moves_per_hour_per_host, 4);
  EXPECT_EQ(policy->limits.moves_per_hour_per_vm, 2);
  EXPECT_EQ(policy->limits.spare_hosts, 0);
}

TEST(Policy, RulesOfHostsAndTimesAreChecked) {
  EXPECT_THAT(error_of("[[rules.pin]]\nname='p'\nvms=['a']\nhosts=['@none']\n"),
              HasSubstr("p.toml:4: hosts names \"@none\", but there is no host_group \"none\""));
  EXPECT_THAT(error_of("[[rules.window]]\nname='w'\nvms=['a']\nfrom='25:00'\n"), HasSubstr("p.toml:4: from must be"));
  EXPECT_THAT(error_of("[[rules.window]]\nname='w'\nvms=['a']\nfrom='8:00'\n"), HasSubstr("p.toml:4: from must be"));
  EXPECT_THAT(error_of("[[rules.window]]\nname='w'\nvms=['a']\nfrom='08:00'\nto='08:00'\n"),
              HasSubstr("p.toml:5: the window is empty"));
  EXPECT_THAT(error_of("[[rules.window]]\nname='w'\nvms=['a']\ndays=['monday']\n"), HasSubstr("p.toml:4: days holds"));
  EXPECT_THAT(error_of("[[rules.window]]\nname='w'\nvms=['a']\neffect='deny'\n"), HasSubstr("p.toml:4: effect must"));
  EXPECT_THAT(error_of("[[rules.value]]\nname='w'\nvms=['a']\n"), HasSubstr("per_vcpu_hour"));
  EXPECT_THAT(error_of("[[rules.priority]]\nname='w'\nvms=['a']\n"), HasSubstr("weight"));
  EXPECT_THAT(error_of("[[rules.power]]\nname='w'\nhosts=['a']\nidle_watts=9\npeak_watts=8\n"),
              HasSubstr("p.toml:5: peak_watts is less"));
  EXPECT_THAT(error_of("[[rules.reservation]]\nname='w'\nvms=['a']\n"), HasSubstr("needs cpu_cores or memory"));
  EXPECT_THAT(error_of("[[rules.headroom]]\nname='w'\nhosts=['a']\n"), HasSubstr("needs cpu or memory"));
  EXPECT_THAT(error_of("[[rules.anti_affinity]]\nname='w'\nvms=['a']\nscope='rack'\n"),
              HasSubstr("p.toml:4: scope must be host or fault_domain"));
  EXPECT_THAT(error_of("[strategies]\nconsolidate = true\n"), HasSubstr("p.toml:2: consolidate has no effect"));
}

TEST(Policy, ReadsEveryKind) {
  const auto policy = parse_policy(R"(
name = "lab"
automation = "approve"
[strategies]
migrate = false
[prices]
contention_per_core_hour = 7
[limits]
cooldown = "30s"
payback = "1h"
migration_bandwidth = "1GiB"
cpu_headroom = 0.25
[[rules.anti_affinity]]
name = "apart"
vms = ["a", "b*"]
hard = false
price_per_hour = 3
[[rules.pin]]
name = "here"
vms = ["@tier=db"]
hosts = ["h1"]
[[rules.size]]
name = "s"
vms = ["*"]
memory_max = "512MiB"
cpu_cores_max = 2
[[rules.automation]]
name = "slow"
vms = ["a"]
level = "observe"
)",
                                   "lab.toml");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->automation, Automation::kApprove);
  EXPECT_FALSE(policy->strategies.migrate);
  EXPECT_DOUBLE_EQ(policy->prices.contention_per_core_hour, 7);
  EXPECT_EQ(policy->limits.cooldown, std::chrono::seconds(30));
  EXPECT_EQ(policy->limits.payback, std::chrono::hours(1));
  EXPECT_EQ(policy->limits.migration_bandwidth_bytes_per_s, kGiB);
  ASSERT_EQ(policy->affinity.size(), 1u);
  EXPECT_TRUE(policy->affinity[0].apart);
  EXPECT_FALSE(policy->affinity[0].hard);
  EXPECT_EQ(policy->affinity[0].line, 13);
  EXPECT_EQ(policy->sizes.at(0).memory_bytes_max, 512 * kMiB);
  EXPECT_EQ(policy->automation_rules.at(0).level, Automation::kObserve);
}

TEST(Policy, ReportsAllProblemsWithTheirLines) {
  const std::string error = error_of(R"(automation = "yes"
colour = "blue"
[strategies]
reshape = 1
[limits]
cooldown = "5 parsecs"
gain_min = 1.5
cpu_headroom = 1.0
[[rules.pin]]
name = "p"
vms = []
[[rules.pin]]
name = "p"
vms = ["a", "a"]
hosts = ["h1"]
[[rules.size]]
vms = ["x"]
vcpus_min = 4
vcpus_max = 2
[[rules.automation]]
name = "n"
vms = ["x"]
)");
  for (const char* expected : {"p.toml:1: ", "p.toml:2: ", "p.toml:4: ", "p.toml:6: ", "p.toml:7: ", "p.toml:8: ",
                               "p.toml:11: ", "p.toml:13: ", "p.toml:14: ", "vcpus_min is more than vcpus_max",
                               "colour", "hosts", "level", "taken by another pin rule"}) {
    EXPECT_THAT(error, HasSubstr(expected));
  }
}

TEST(Policy, SyntaxErrorHasItsLine) {
  EXPECT_THAT(error_of("name = \"x\"\nautomation = \n"), HasSubstr("p.toml:2: "));
}

TEST(Policy, PriceOnAHardRuleIsAMistake) {
  EXPECT_THAT(error_of("[[rules.affinity]]\nname = \"a\"\nvms = [\"x\"]\nprice_per_hour = 3\n"),
              HasSubstr("p.toml:4: "));
}

}  // namespace
}  // namespace proteus::ham
