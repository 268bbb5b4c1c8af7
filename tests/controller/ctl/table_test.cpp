#include "controller/ctl/table.h"

#include <gtest/gtest.h>

namespace proteus::ctl {
namespace {

TEST(Table, AlignsByWhatATerminalShows) {
  Table table({"NAME", ">CORES"});
  table.add({"wéb", "0.5"});
  table.add({"a", "12.25"});
  EXPECT_EQ(table.text(), "NAME  CORES\nwéb     0.5\na     12.25\n");
}

TEST(Table, LeavesNoBlanksAtTheEnd) {
  Table table({"A", "B"});
  table.add({"1", ""});
  EXPECT_EQ(table.text(), "A  B\n1\n");
}

TEST(Format, BytesAndSeconds) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(768.0 * 1048576), "768 MiB");
  EXPECT_EQ(format_seconds(0.85), "850 ms");
  EXPECT_EQ(format_seconds(12.34), "12.3 s");
  EXPECT_EQ(format_seconds(240), "4 min");
  EXPECT_EQ(format_seconds(250), "4 min 10 s");
  EXPECT_EQ(format_seconds(-190.2), "-3 min 10 s");
}

}  // namespace
}  // namespace proteus::ctl
