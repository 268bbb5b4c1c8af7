#include "common/kpi.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <set>
#include <string>

namespace proteus {
namespace {

TEST(Kpi, RowsAreOrderedAndNamedOnce) {
  std::set<std::string_view> names;
  std::uint16_t previous = 0;
  for (const KpiInfo& row : kpi_table()) {
    EXPECT_GT(static_cast<std::uint16_t>(row.kpi), previous) << row.name;
    previous = static_cast<std::uint16_t>(row.kpi);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_GE(row.quantum, 1) << row.name;
    EXPECT_FALSE(row.source.empty()) << row.name;
  }
}

TEST(Kpi, NamesEndInTheirUnit) {
  for (const KpiInfo& row : kpi_table()) {
    if (row.unit == "ns") {
      EXPECT_TRUE(row.name.ends_with("_ns")) << row.name;
    }
    if (row.unit == "bytes") {
      EXPECT_TRUE(row.name.ends_with("_bytes")) << row.name;
    }
  }
}

TEST(Kpi, TheReadmeHoldsTheSameTable) {
  std::ifstream file(PROTEUS_SOURCE_DIR "/schemas/README.md");
  ASSERT_TRUE(file);
  std::set<std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| ") && std::isdigit(static_cast<unsigned char>(line[2])) != 0) rows.insert(line);
  }
  EXPECT_EQ(rows.size(), kpi_table().size());
  for (const KpiInfo& row : kpi_table()) {
    const std::string line =
        fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |", static_cast<unsigned>(row.kpi), row.name, row.unit,
                    to_string(row.kind), to_string(row.scope), to_string(row.lane), row.quantum, row.source);
    EXPECT_TRUE(rows.contains(line)) << "schemas/README.md lacks: " << line;
  }
}

TEST(Kpi, IsFoundByNumberAndName) {
  EXPECT_EQ(find_kpi(std::uint16_t{2})->name, "run_queue_wait_ns");
  EXPECT_EQ(find_kpi("run_queue_wait_ns")->kpi, Kpi::kRunQueueWaitNs);
  EXPECT_EQ(find_kpi(std::uint16_t{65535}), nullptr);
  EXPECT_EQ(find_kpi("no_such_kpi"), nullptr);
}

}  // namespace
}  // namespace proteus
