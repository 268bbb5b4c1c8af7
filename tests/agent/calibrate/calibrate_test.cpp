#include "agent/calibrate/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "agent/calibrate/measure.h"
#include "tests/agent/collect/fixture_root.h"

namespace proteus::calibrate {
namespace {

using collect::Calibration;
using collect::CalibrationFigure;
using testing::HasSubstr;

const Timestamp kNow{std::chrono::hours(480'000)};

class Calibrate : public testing::Test {
 protected:
  Calibrate() {
    root_.write("/proc/loadavg", "0.10 0.20 0.30 1/200 4242\n");
    options_.root = root_.path();
    options_.directory = root_.path();
    options_.budget = std::chrono::milliseconds(2);
  }
  collect::FixtureRoot root_;
  Options options_;
};

TEST_F(Calibrate, MeasuresWhatThisHostCanAndSaysWhyNotTheRest) {
  const Calibration calibration = run_calibration(options_, kNow);
  EXPECT_EQ(calibration.time, kNow);
  ASSERT_EQ(calibration.figures.size(), 7u);
  for (const CalibrationFigure& figure : calibration.figures) {
    SCOPED_TRACE(figure.name + ": " + figure.reason);
    EXPECT_NE(figure.value.has_value(), !figure.reason.empty());
    EXPECT_GT(figure.value.value_or(1), 0);
    if (figure.p99) {
      EXPECT_GE(*figure.p99, *figure.value);
    }
    // Storage may refuse to be read past the page cache; everything else is anywhere, but for /dev/kvm.
    if (!figure.name.starts_with("storage_read") && !figure.name.starts_with("exit")) {
      EXPECT_TRUE(figure.value);
    }
  }
  EXPECT_FALSE(calibration.figures.back().value) << "there is no /dev/kvm below the root";
  EXPECT_THAT(calibration.figures.back().reason, HasSubstr("/dev/kvm: No such file"));
  // Memory far away cannot be as near as a register, nor a page fault cheaper than a load.
  EXPECT_GT(*calibration.figures[2].value, 1);
  EXPECT_GT(*calibration.figures[3].value, 20);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root_.path()), {}), 1) << "nothing is left beside /proc";
}

TEST_F(Calibrate, AGuestOfItsOwnGoesOutAndIn) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/kvm cannot be opened here";
  const auto latencies = measure_exit_round_trip_ns("/dev/kvm", std::chrono::milliseconds(2));
  if (!latencies) GTEST_SKIP() << latencies.error().message;
  ASSERT_FALSE(latencies->empty());
  EXPECT_THAT(*latencies, testing::Each(testing::Gt(50.0))) << "no way out of a guest is that short";
}

TEST_F(Calibrate, IsRefusedUnderLoad) {
  EXPECT_TRUE(may_calibrate(options_, kNow));
  root_.write("/proc/loadavg", "4000.00 0.20 0.30 1/200 4242\n");
  const Status busy = may_calibrate(options_, kNow);
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(busy.error().message, HasSubstr("load of the last minute is 4000.00"));
  root_.remove("/proc/loadavg");
  EXPECT_FALSE(may_calibrate(options_, kNow));
}

TEST_F(Calibrate, IsRefusedSoonAfterTheLast) {
  Calibration calibration;
  calibration.time = kNow;
  ASSERT_TRUE(keep_calibration(options_, calibration));
  const Status soon = may_calibrate(options_, kNow + std::chrono::seconds(61));
  ASSERT_FALSE(soon);
  EXPECT_THAT(soon.error().message, HasSubstr("61 s ago"));
  EXPECT_TRUE(may_calibrate(options_, kNow + kPause));
  EXPECT_TRUE(may_calibrate(options_, kNow - std::chrono::seconds(5))) << "a clock set back is no reason";
  root_.write("/calibration.json", "{}");
  EXPECT_TRUE(may_calibrate(options_, kNow)) << "what cannot be read is measured anew";
}

TEST_F(Calibrate, ResultsBecomeLabels) {
  collect::CalibrationLabels labels(calibration_path(options_.directory));
  EXPECT_FALSE(labels.refresh());
  Calibration calibration;
  calibration.time = kNow;
  calibration.figures = {{"page_fault_ns", 512, 900, 0.25, ""}, {"exit_round_trip_ns", {}, {}, 0, "no /dev/kvm"}};
  ASSERT_TRUE(keep_calibration(options_, calibration));
  EXPECT_TRUE(labels.refresh());
  EXPECT_THAT(labels.labels(), testing::ElementsAre(testing::Pair("calibration.page_fault_ns", "512"),
                                                    testing::Pair("calibration.page_fault_ns.p99", "900")));
  EXPECT_FALSE(labels.refresh());
  root_.remove("/calibration.json");
  EXPECT_TRUE(labels.refresh());
  EXPECT_TRUE(labels.labels().empty());
}

TEST_F(Calibrate, TheFileIsReadAsItWasWritten) {
  Calibration calibration;
  calibration.time = kNow;
  calibration.figures = {{"page_fault_ns", 512, 900, 0.25, ""}, {"exit_round_trip_ns", {}, {}, 0, "no /dev/kvm"}};
  const Result<Calibration> read = collect::parse_calibration(collect::calibration_json(calibration));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->time, calibration.time);
  EXPECT_EQ(read->figures, calibration.figures);
  for (const char* bad : {"", "[]", "{}", R"({"version":2,"time_s":1,"figures":[]})", R"({"version":1,"figures":[]})",
                          R"({"version":1,"time_s":1,"figures":[{}]})"}) {
    EXPECT_FALSE(collect::parse_calibration(bad)) << bad;
  }
}

}  // namespace
}  // namespace proteus::calibrate
