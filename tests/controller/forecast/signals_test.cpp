#include "controller/forecast/signals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace proteus::forecast {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'040'000'000'000);  // a whole minute
const VmId kWeb{"web"};

SignalPush push(const std::string& name, const VmId& vm, std::vector<SignalPush::Point> points,
                Nanoseconds lead = Nanoseconds{0}) {
  return {name, vm, lead, std::move(points)};
}

std::vector<double> row(const Covariates& covariates, Timestamp begin) {
  std::vector<double> values(covariates.names().size());
  covariates.at(begin, values);
  return values;
}

TEST(SignalBoard, AStepIsTheMeanOfItsPointsAndHoldsUntilTheNext) {
  SignalBoard board(minutes(1), 100, nullptr);
  const Covariates* web = board.of(kWeb);
  EXPECT_TRUE(web->names().empty());
  board.push(push("orders", VmId(), {{kStart, 2}, {kStart + seconds(30), 4}, {kStart + minutes(3), 9}}));
  ASSERT_EQ(web->names(), std::vector<std::string>{"orders"});
  EXPECT_TRUE(std::isnan(row(*web, kStart - minutes(1))[0]));
  EXPECT_EQ(row(*web, kStart)[0], 3);
  EXPECT_EQ(row(*web, kStart + minutes(2))[0], 3);
  EXPECT_EQ(row(*web, kStart + minutes(3))[0], 9);
  EXPECT_TRUE(std::isnan(row(*web, kStart + minutes(4))[0])) << "nothing is known after the newest";
}

TEST(SignalBoard, ALeadMovesASignalAheadOfDemand) {
  SignalBoard board(minutes(1), 100, nullptr);
  board.push(push("orders", kWeb, {{kStart, 5}}, minutes(10)));
  const Covariates* web = board.of(kWeb);
  EXPECT_TRUE(std::isnan(row(*web, kStart)[0]));
  EXPECT_EQ(row(*web, kStart + minutes(10))[0], 5);
}

TEST(SignalBoard, AVmSeesTheCalendarEverybodysAndItsOwn) {
  auto calendar = parse_calendar("[[cycle]]\nname = \"nights\"\nfrom = \"00:00\"\nto = \"06:00\"", "c");
  ASSERT_TRUE(calendar);
  SignalBoard board(minutes(1), 100, std::make_shared<const Calendar>(std::move(*calendar)));
  const Covariates* web = board.of(kWeb);
  const Covariates* other = board.of(VmId("other"));
  EXPECT_EQ(web->names(), std::vector<std::string>{"nights"});
  board.push(push("own", kWeb, {{kStart, 1}}));
  board.push(push("all", VmId(), {{kStart, 2}}));
  EXPECT_EQ(web->names(), (std::vector<std::string>{"nights", "all", "own"}));
  EXPECT_EQ(other->names(), (std::vector<std::string>{"nights", "all"}));
  EXPECT_EQ(row(*web, kStart), (std::vector<double>{0, 2, 1}));  // 22:14 UTC
  EXPECT_EQ(row(*web, kStart + minutes(120))[0], 1);
  board.forget(kWeb);
  EXPECT_EQ(board.of(kWeb)->names(), (std::vector<std::string>{"nights", "all"}));
}

TEST(SignalBoard, KeepsTheNewestAndBringsItBack) {
  SignalBoard board(minutes(1), 100, nullptr);
  const int week = 7 * 24 * 60;
  for (int i = 0; i < 2 * week; ++i) board.push(push("a", kWeb, {{kStart + minutes(i), double(i)}}));
  const std::vector<SignalPush> kept = board.kept();
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_LE(kept[0].points.size(), static_cast<std::size_t>(week + 102));
  EXPECT_EQ(kept[0].points.back().value, 2 * week - 1);
  SignalBoard again(minutes(1), 100, nullptr);
  for (const SignalPush& one : kept) again.push(one);
  EXPECT_EQ(again.kept(), kept);
}

TEST(SignalPush, IsChecked) {
  const SignalPush good = push("orders.per-minute_1", kWeb, {{kStart, 1}});
  EXPECT_TRUE(check(good, kStart));
  const auto refused = [&](auto change) {
    SignalPush bad = good;
    change(bad);
    const Status status = check(bad, kStart);
    return !status && status.error().code == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](SignalPush& p) { p.name = ""; }));
  EXPECT_TRUE(refused([](SignalPush& p) { p.name = "a b"; }));
  EXPECT_TRUE(refused([](SignalPush& p) { p.name = std::string(65, 'a'); }));
  EXPECT_TRUE(refused([](SignalPush& p) { p.lead = -seconds(1); }));
  EXPECT_TRUE(refused([](SignalPush& p) { p.lead = std::chrono::hours(25); }));
  EXPECT_TRUE(refused([](SignalPush& p) { p.points.clear(); }));
  EXPECT_TRUE(refused([](SignalPush& p) { p.points.resize(501, {kStart, 1}); }));
  EXPECT_TRUE(refused([](SignalPush& p) { p.points[0].value = std::numeric_limits<double>::infinity(); }));
  EXPECT_TRUE(refused([](SignalPush& p) { p.points[0].time += std::chrono::hours(24 * 8); }));
}

}  // namespace
}  // namespace proteus::forecast
