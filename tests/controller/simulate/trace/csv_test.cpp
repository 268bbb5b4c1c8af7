#include "controller/simulate/trace/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proteus::simulate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Csv, KeepsEmptyCells) {
  const auto table = parse_csv("day,source,wall_s\n1,a,\n,,\n", "x.csv");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_THAT(table->header, ElementsAre("day", "source", "wall_s"));
  EXPECT_THAT(table->rows, ElementsAre(ElementsAre("1", "a", ""), ElementsAre("", "", "")));
  EXPECT_EQ(table->column("source"), 1u);
  EXPECT_FALSE(table->column("none"));
}

TEST(Csv, SaysWhichLineIsWrong) {
  const auto table = parse_csv("a,b\n1,2\n1\n", "x.csv");
  ASSERT_FALSE(table);
  EXPECT_EQ(table.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(table.error().message, "x.csv:3: 1 cells, but the header has 2");
  EXPECT_FALSE(parse_csv("", "x.csv"));
}

TEST(Traces, AreSeriesByStep) {
  const auto traces = parse_traces("vm,t0,t1,t2\r\na,0,1.5,99\r\nb,3,2,1\r\n", "x.csv");
  ASSERT_TRUE(traces) << traces.error().message;
  EXPECT_EQ(traces->steps, 3u);
  EXPECT_THAT(traces->names, ElementsAre("a", "b"));
  EXPECT_THAT(traces->values, ElementsAre(0, 1.5, 99, 3, 2, 1));
  EXPECT_EQ(traces->row(1)[0], 3);
}

TEST(Traces, RefuseWhatIsNoNumber) {
  for (const char* bad : {"", "x", "-1", "nan", "inf", "1 ", "1e999"}) {
    const auto traces = parse_traces("vm,t0,t1\na,1," + std::string(bad) + "\n", "x.csv");
    ASSERT_FALSE(traces) << bad;
    EXPECT_THAT(traces.error().message, HasSubstr("x.csv:2: cell 3 is '" + std::string(bad) + "'"));
  }
  EXPECT_FALSE(parse_traces("vm\na\n", "x.csv"));
  EXPECT_FALSE(parse_traces("vm,t0\n", "x.csv"));
}

}  // namespace
}  // namespace proteus::simulate
