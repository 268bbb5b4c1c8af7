#include "common/toml_document.h"

#include <gtest/gtest.h>

namespace proteus {
namespace {

TEST(TomlDocument, ReadsEveryType) {
  TomlDocument document(R"(
name = "h1"
on = true
count = 3
share = 0.5
tick = "250ms"
room = "64MiB"
hosts = ["a", "b"]
[inner]
x = 1
[[rule]]
y = "p"
[[rule]]
y = "q"
)",
                        "a.toml");
  auto root = document.root();
  std::string name;
  bool on = false;
  int count = 0;
  double share = 0;
  Nanoseconds tick{};
  std::int64_t room = 0;
  std::vector<std::string> hosts;
  root.read("name", name);
  root.read("on", on);
  root.read("count", count, 0, 10);
  root.read("share", share, 0.0, 1.0);
  root.read_duration("tick", tick, Nanoseconds{0}, std::chrono::hours(1));
  root.read_bytes("room", room, 0, kGiB);
  root.read("hosts", hosts);
  std::int64_t x = 0;
  root.table("inner").read("x", x);
  std::vector<std::string> ys;
  for (auto& rule : root.tables("rule")) rule.read("y", ys.emplace_back());
  ASSERT_TRUE(document.finish()) << document.finish().error().message;
  EXPECT_EQ(name, "h1");
  EXPECT_TRUE(on);
  EXPECT_EQ(count, 3);
  EXPECT_EQ(share, 0.5);
  EXPECT_EQ(tick, std::chrono::milliseconds(250));
  EXPECT_EQ(room, 64 * kMiB);
  EXPECT_EQ(hosts, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(x, 1);
  EXPECT_EQ(ys, (std::vector<std::string>{"p", "q"}));
}

TEST(TomlDocument, ReportsAllProblemsInOrderOfTheirLines) {
  TomlDocument document("count = \"x\"\ntypo = 1\ntick = \"5 parsecs\"\n[inner]\nstray = 2\n", "a.toml");
  auto root = document.root();
  int count = 7;
  Nanoseconds tick = std::chrono::seconds(1);
  root.read_duration("tick", tick, Nanoseconds{0}, std::chrono::hours(1));
  root.read("count", count, 0, 10);
  root.table("inner");
  root.require("name");
  const Status status = document.finish();
  ASSERT_FALSE(status);
  EXPECT_EQ(count, 7);
  const std::string& text = status.error().message;
  const auto at = [&](const char* part) { return text.find(part); };
  EXPECT_NE(at("a.toml:1: 'count' must be a whole number"), std::string::npos) << text;
  EXPECT_LT(at("a.toml:1: 'count'"), at("a.toml:2: unknown key 'typo'")) << text;
  EXPECT_LT(at("a.toml:2: unknown"), at("a.toml:3: 'tick' must be a duration")) << text;
  EXPECT_NE(at("a.toml:5: unknown key 'stray'"), std::string::npos) << text;
  EXPECT_NE(at("'name' is missing"), std::string::npos) << text;
}

TEST(TomlDocument, ReportsValuesOutOfRangeAndBrokenSyntax) {
  TomlDocument range("count = 11\n", "b.toml");
  int count = 1;
  range.root().read("count", count, 0, 10);
  EXPECT_EQ(range.finish().error().message, "b.toml:1: 'count' is 11, but must be from 0 to 10");
  TomlDocument broken("count = \n", "c.toml");
  broken.root();
  EXPECT_TRUE(broken.finish().error().message.starts_with("c.toml:1: ")) << broken.finish().error().message;
}

}  // namespace
}  // namespace proteus
