#include "controller/ctl/planetlab_command.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "controller/simulate/trace/compressed_file.h"
#include "tests/temporary_directory.h"

namespace proteus::ctl {
namespace {

const std::string kDay = PROTEUS_SOURCE_DIR "/../shared/data/planetlab/20110306.csv.xz";

TEST(PlanetlabCommand, PrintsTheFiguresAndDrawsTheDay) {
  if (!std::filesystem::exists(kDay)) GTEST_SKIP() << "no traces in " << kDay;
  const TemporaryDirectory directory;
  PlanetlabCommand command{{kDay}, "npa,thr", "cloudsim", directory / "day.svg"};
  std::ostringstream out;
  const Status status = run_planetlab(command, true, out);
  ASSERT_TRUE(status) << status.error().message;
  const nlohmann::json runs = nlohmann::json::parse(out.str());
  ASSERT_EQ(runs.size(), 2U);
  for (const char* figure : {"energy_kwh", "slatah", "pdm", "slav", "esv", "migrations", "mean_active_hosts"}) {
    EXPECT_TRUE(runs[1].contains(figure)) << figure;
  }
  const Result<std::string> picture = simulate::read_compressed_file(command.svg);
  ASSERT_TRUE(picture) << picture.error().message;
  EXPECT_TRUE(picture->starts_with("<svg xmlns="));
  EXPECT_NE(picture->find("20110306 cloudsim thr"), std::string::npos);
  EXPECT_EQ(picture->find("npa"), std::string::npos) << "it has no course";
  EXPECT_NE(picture->find("class=\"moves\""), std::string::npos);
}

TEST(PlanetlabCommand, SaysWhatIsWrong) {
  std::ostringstream out;
  EXPECT_EQ(run_planetlab({{"/nonexistent"}, "thr", "cloudsim"}, true, out).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(run_planetlab({{kDay}, "best", "cloudsim"}, true, out).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(run_planetlab({{kDay}, "thr", "weekly"}, true, out).error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(out.str().empty());
}

}  // namespace
}  // namespace proteus::ctl
