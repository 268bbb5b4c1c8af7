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
  out << p.name << ' ' << to_string(p.automation) << ' ' << p.strategies.reshape << p.strategies.migrate << ' '
      << c.contention_per_core_hour << ' ' << c.shortfall_per_core_hour << ' ' << c.memory_shortage_per_gib_hour << ' '
      << c.capacity_per_core_hour << ' ' << c.imbalance_per_host_hour << ' ' << c.migration_per_gib << ' '
      << c.action_fixed << ' ' << c.downtime_per_second << ' ' << c.rule_violation_per_hour << ' ' << l.cooldown.count()
      << ' ' << l.concurrent_migrations << ' ' << l.concurrent_migrations_per_host << ' ' << l.moves_per_hour << ' '
      << l.cpu_headroom << ' ' << l.memory_headroom << ' ' << l.payback.count() << ' ' << l.gain_min << ' '
      << l.lookahead.count() << ' ' << l.migration_bandwidth_bytes_per_s << ' ' << l.downtime_ms_max;
  for (const auto& r : p.affinity) {
    out << "\naffinity " << r.name << ' ' << r.apart << r.hard << ' ' << r.price_per_hour << ' ' << r.vms.size();
  }
  for (const auto& r : p.pins) out << "\npin " << r.name << ' ' << r.vms.size() << ' ' << r.hosts.size();
  for (const auto& r : p.exclusions) out << "\nexclude " << r.name << ' ' << r.vms.size();
  for (const auto& r : p.sizes) {
    out << "\nsize " << r.name << ' ' << r.vcpus_min << ' ' << r.vcpus_max << ' ' << r.cpu_cores_min << ' '
        << r.cpu_cores_max << ' ' << r.memory_bytes_min << ' ' << r.memory_bytes_max;
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
  without_rules.affinity.clear();
  without_rules.pins.clear();
  without_rules.exclusions.clear();
  without_rules.sizes.clear();
  without_rules.automation_rules.clear();
  EXPECT_EQ(figures(without_rules), figures(Policy{}));
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
