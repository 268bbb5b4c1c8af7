#include "controller/ctl/plot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "controller/ctl/destination.h"
#include "controller/ctl/print.h"
#include "controller/ctl/svg.h"
#include "tests/file_size_limit.h"
#include "tests/temporary_directory.h"

namespace proteus::ctl {
namespace {

TEST(Sparkline, ShowsTheNewestScaledToTheTop) {
  EXPECT_EQ(sparkline({0, 0.5, 1}, 3, 1), "▁▄█");
  EXPECT_EQ(sparkline({9, 0.5, 1}, 2, 1), "▄█");
}

TEST(Bar, FillsAndMarks) {
  EXPECT_EQ(bar(0.5, 4), "██░░");
  EXPECT_EQ(bar(0, 4, 0.5), "░░│░");
  EXPECT_EQ(bar(2, 2), "██");
}

TEST(Plot, DrawsHistoryMedianAndBands) {
  nlohmann::ordered_json outlook{{"resource", "cpu"},
                                 {"name", "web"},
                                 {"unit", "cores"},
                                 {"model", "holt_damped"},
                                 {"stale", false},
                                 {"step_s", 2.0},
                                 {"history", {0.2, nullptr, 0.2, 0.3}},
                                 {"steps", nlohmann::ordered_json::array()}};
  for (int i = 0; i < 10; ++i) outlook["steps"].push_back({{"p50", 0.3}, {"p90", 0.6}, {"p99", 0.9}});
  const std::string picture = plot_forecast(outlook, 60, 12);
  for (const char* mark : {"•", "━", "▒", "░", "cpu of web", "ahead 20.0 s"})
    EXPECT_NE(picture.find(mark), std::string::npos) << mark;
  EXPECT_EQ(std::count(picture.begin(), picture.end(), '\n'), 14);
}

nlohmann::ordered_json outlook_of(const std::string& name) {
  nlohmann::ordered_json outlook{{"resource", "cpu"},
                                 {"name", name},
                                 {"unit", "cores"},
                                 {"model", "holt_damped"},
                                 {"stale", true},
                                 {"step_s", 60.0},
                                 {"made_at", "2026-01-31T08:15:00.000Z"},
                                 {"window_max", {{"p50", 0.3}, {"p90", 0.6}, {"p99", 0.9}}},
                                 {"history", {0.2, nullptr, 0.25, 0.3}},
                                 {"steps", nlohmann::ordered_json::array()}};
  for (int i = 0; i < 10; ++i) outlook["steps"].push_back({{"p50", 0.3}, {"p90", 0.6}, {"p99", 0.9}});
  return outlook;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Svg, DrawsBandsMedianAndEachRunOfHistory) {
  const std::string picture = svg_forecast(outlook_of("web"));
  EXPECT_TRUE(picture.starts_with("<svg xmlns="));
  EXPECT_TRUE(picture.ends_with("</svg>\n"));
  EXPECT_EQ(count(picture, "<polygon "), 2u);
  EXPECT_EQ(count(picture, "<polyline "), 3u) << "the median, and history before and after its gap";
  for (const char* word : {"cpu of web", "stale, widened", "08:15", "p90 0.60", "to p99"})
    EXPECT_NE(picture.find(word), std::string::npos) << word;
}

TEST(Svg, ANameCannotLeaveItsText) {
  const std::string picture = svg_forecast(outlook_of("</text><script>\x01&"));
  EXPECT_EQ(picture.find("<script>"), std::string::npos);
  EXPECT_NE(picture.find("&lt;/text&gt;&lt;script&gt; &amp;"), std::string::npos);
}

TEST(Svg, SaysWhenTheFileCannotBeWritten) {
  EXPECT_EQ(write_text("/nonexistent/folder/picture.svg", "x").error().code, ErrorCode::kPermissionDenied);
}

TEST(Svg, AFailedWriteLeavesTheOldPicture) {
  const TemporaryDirectory directory;
  const std::string file = directory / "picture.svg";
  std::ofstream(file) << "the old one";
  {
    const FileSizeLimit full(4096);
    EXPECT_FALSE(write_text(file, std::string(1 << 20, 'x')));
  }
  std::ifstream in(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "the old one");
  EXPECT_TRUE(write_text(file, "the new one"));
  EXPECT_EQ(std::filesystem::file_size(file), 11u);
}

TEST(Svg, ToStandardOutputLeavesTheWordsToStandardError) {
  std::ostringstream usual;
  EXPECT_EQ(&Destination::words("-", usual), &std::cerr);
  EXPECT_EQ(&Destination::words("picture.svg", usual), &usual);
  testing::internal::CaptureStdout();
  EXPECT_TRUE(write_text("-", "<svg>\n"));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "<svg>\n");
}

TEST(Accuracy, ShowsChosenModelsOfAllAndAllModelsOfOne) {
  nlohmann::ordered_json lead{
      {"lead_s", 60.0},     {"pinball_loss", 0.0123},
      {"mase", 0.8},        {"coverage", {{"p10", 0.1}, {"p50", 0.5}, {"p90", 0.91}, {"p95", 0.95}, {"p99", 1.0}}},
      {"scored_steps", 40}, {"share", 0.63}};
  nlohmann::ordered_json unused = lead;
  unused["share"] = 0.0;
  nlohmann::ordered_json far = lead;
  far["lead_s"] = 1800.0;
  far["mase"] = nullptr;
  const nlohmann::ordered_json series = {
      {{"vm", "u"},
       {"name", "web"},
       {"resource", "cpu"},
       {"unit", "cores"},
       {"models",
        {{{"model", "naive"}, {"chosen", false}, {"set_aside", true}, {"reason", "worse"}, {"leads", {unused}}},
         {{"model", "holt_damped"}, {"chosen", true}, {"set_aside", false}, {"reason", ""}, {"leads", {lead, far}}}}}}};
  const std::string all = print_accuracy(series, false);
  EXPECT_EQ(all.find("naive"), std::string::npos);
  EXPECT_NE(all.find("30 min"), std::string::npos);
  EXPECT_NE(all.find("1 series; 1 models set aside"), std::string::npos);
  const std::string one = print_accuracy(series, true);
  EXPECT_NE(one.find("set aside: worse"), std::string::npos);
  EXPECT_NE(one.find("0.012  0.80       50 %  91 %"), std::string::npos) << one;
  EXPECT_EQ(count(one, "63 %"), 2u) << "a model without a share shows none\n" << one;
}

}  // namespace
}  // namespace proteus::ctl
