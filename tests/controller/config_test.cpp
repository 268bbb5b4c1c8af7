#include "controller/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proteus::controller {
namespace {

using ::testing::HasSubstr;

std::string problem(const std::string& text) {
  const auto config = parse_config(text, "c.toml");
  return config ? "" : config.error().message;
}

TEST(ControllerConfig, NothingNeedsToBeSaid) {
  EXPECT_EQ(problem(""), "");
}

TEST(ControllerConfig, WhatOnlyTheStartWouldRefuseIsRefusedByTheCheck) {
  EXPECT_EQ(problem("log_level = \"debug\"\n"), "");
  EXPECT_THAT(problem("log_level = \"warn\"\n"),
              HasSubstr("c.toml:1: 'log_level' must be debug, info, warning or error"));
  EXPECT_THAT(problem("[forecast]\nglobal_weights = \"0123\"\n"),
              HasSubstr("c.toml:2: 'global_weights' is a recording's"));
}

TEST(ControllerConfig, WhereItListensIsChecked) {
  EXPECT_THAT(problem("[listen]\ntelemetry = \"tcp://*\"\n"), HasSubstr("c.toml:2: 'telemetry' must be an address"));
  EXPECT_THAT(problem("[listen]\ncommand = \"7402\"\n"), HasSubstr("c.toml:2: 'command' must be an address"));
  EXPECT_THAT(problem("[listen]\ntelemetry = \"tcp://*:7\"\ncommand = \"tcp://*:7\"\n"),
              HasSubstr("c.toml:3: 'telemetry' and 'command' must be two addresses"));
  EXPECT_THAT(problem("[api]\naddress = \"0.0.0.0\"\n"), HasSubstr("c.toml:2: 'address' is '0.0.0.0'"));
  EXPECT_EQ(problem("[api]\naddress = \"0.0.0.0\"\ntls_certificate = \"/c\"\ntls_key = \"/k\"\n"), "");
  EXPECT_EQ(problem("[api]\nanswer_memory_max = \"1GiB\"\n"), "");
  EXPECT_NE(problem("[api]\nanswer_memory_max = \"1MiB\"\n").find("'answer_memory_max' is 1048576 bytes"),
            std::string::npos);
}

TEST(ControllerConfig, HoursAreKeptAtLeastAsLongAsMinutes) {
  EXPECT_EQ(problem("[store]\nseries_retention = \"365d\"\nhour_retention = \"180d\"\n"), "");
  EXPECT_THAT(problem("[store]\nhour_retention = \"179d\"\n"),
              HasSubstr("c.toml:2: 'hour_retention' must be at least 'minute_retention'"));
  EXPECT_THAT(problem("[store]\nminute_retention = \"1096d\"\n"), HasSubstr("'hour_retention' must be at least"));
}

TEST(ControllerConfig, WhatOneHostMayHaveStoredIsLimited) {
  EXPECT_EQ(problem("[store]\nhost_bytes_per_day = \"1GiB\"\n"), "");
  EXPECT_THAT(problem("[store]\nhost_bytes_per_day = \"1023MiB\"\n"), HasSubstr("'host_bytes_per_day' is"));
  EXPECT_THAT(problem("[store]\nhost_bytes_per_day = \"0\"\n"), HasSubstr("'host_bytes_per_day'"));
}

}  // namespace
}  // namespace proteus::controller
