#include "tests/bench/forecast/data_set.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace proteus::bench {
namespace {

constexpr const char* kHeader =
    "series,vm,column,resource,unit,step_s,length,first_origin,start_epoch,source,source_file,cores,mem_mib,subset\n";

/// A set folder that goes away with the test.
class DataSetFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "proteus-set-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::filesystem::create_directories(folder_ / "series");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void manifest(const std::string& rows) const { std::ofstream(folder_ / "manifest.csv") << kHeader << rows; }
  void vm(const std::string& name, const std::string& text) const {
    const gzFile file = gzopen((folder_ / "series" / (name + ".csv.gz")).c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
  }
  static std::string rows(std::size_t count) {
    std::string text = "cpu,mem\n";
    for (std::size_t t = 0; t < count; ++t) text += std::to_string(t) + ".5," + std::to_string(2 * t) + "\n";
    return text;
  }
  std::string error() const { return read_data_set(folder_).error().message; }

  std::filesystem::path folder_;
};

TEST_F(DataSetFolder, IsRead) {
  manifest(
      "a:cpu,a,cpu,cpu,percent,300,3000,1025,1400000000,nab-aws,x,,,1\n"
      "a:mem,a,mem,mem,MiB,300,3000,1025,,nab-aws,x,,,0\n");
  vm("a", rows(3000));
  const Result<DataSet> set = read_data_set(folder_);
  ASSERT_TRUE(set.has_value()) << set.error().message;
  ASSERT_EQ(set->series.size(), 2U);
  EXPECT_EQ(set->series[0].start_epoch, 1400000000);
  EXPECT_FALSE(set->series[1].start_epoch.has_value());
  EXPECT_TRUE(set->series[0].subset);
  EXPECT_EQ(set->series[0].first_origin, 1025U);
  EXPECT_EQ(set->values(set->series[0])[7], 7.5);
  EXPECT_EQ(set->values(set->series[1])[7], 14);
}

TEST_F(DataSetFolder, APartHoldsEveryOtherVm) {
  std::string text;
  for (const std::string name : {"c", "a", "b"}) {
    text += name + ":cpu," + name + ",cpu,cpu,percent,300,3000,1025,,nab-aws,x,,,1\n";
    vm(name, rows(3000));
  }
  manifest(text);
  Result<DataSet> set = read_data_set(folder_);
  ASSERT_TRUE(set.has_value()) << set.error().message;
  DataSet others = *set;
  drop_part(others, parse_part("0/2").value());
  ASSERT_EQ(others.series.size(), 1U);
  EXPECT_EQ(others.series[0].vm, "b");
  keep_part(*set, parse_part("0/2").value());
  ASSERT_EQ(set->series.size(), 2U);
  EXPECT_EQ(set->series[0].vm, "c");
  EXPECT_EQ(set->series[1].vm, "a");
  for (const char* bad : {"", "1", "2/2", "-1/2", "0/0", "0/2x"}) EXPECT_FALSE(parse_part(bad).has_value()) << bad;
}

TEST_F(DataSetFolder, SaysWhatIsWrong) {
  EXPECT_NE(error().find("manifest.csv: cannot be opened"), std::string::npos);
  manifest("");
  EXPECT_NE(error().find("names no series"), std::string::npos);
  manifest("a:cpu,a,cpu,cpu,percent,300,3000,1024,,nab-aws,x,,,1\n");
  EXPECT_NE(error().find("line 2: first_origin"), std::string::npos);
  manifest("a:cpu,a,cpu,cpu,percent,300,3000,1025,,nab-aws,x,,,1\n");
  EXPECT_NE(error().find("a.csv.gz: cannot be opened"), std::string::npos);
  vm("a", rows(2999));
  EXPECT_NE(error().find("does not hold 3000 values of 'cpu'"), std::string::npos);
  vm("a", rows(3000) + "3,\n");
  EXPECT_NE(error().find("line 3002: not one number >= 0 for each column"), std::string::npos);
  vm("a", rows(10) + "-1,2\n");
  EXPECT_NE(error().find("line 12"), std::string::npos);
}

}  // namespace
}  // namespace proteus::bench
