#pragma once

#include <string>
#include <vector>

#include "controller/ctl/client.h"
#include "controller/ctl/learning_command.h"
#include "controller/ctl/policy_command.h"
#include "controller/ctl/query_command.h"
#include "controller/ctl/replay_command.h"
#include "controller/ctl/tune_command.h"

namespace proteus::ctl {

/// What was said on the command line, of all commands.
struct Options {
  ClientOptions client;
  bool json = false;
  std::string vm;
  std::string resource = "cpu";
  bool plot = false;
  std::string svg_file;
  std::string id;
  std::string host;
  std::string on_off;
  int limit = 200;
  bool all = false;
  std::string from;
  std::string to;
  std::vector<std::string> hosts;
  std::vector<std::string> vms;
  std::vector<std::string> kinds;
  std::string file;
  double interval_s = 1;
  int frames = 0;
  std::string shell = "bash";
  ReplayCommand replay;
  SeriesRequest series;
  PolicyCommand policy;
  TuneCommand tune;
  LearningCommand learning;
};

}  // namespace proteus::ctl
