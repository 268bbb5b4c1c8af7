#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "controller/ctl/client.h"
#include "controller/ctl/options.h"
#include "controller/ctl/print.h"

namespace proteus::ctl {

/// The commands that ask a controller: each sends its requests, prints JSON or text, and returns the exit code. The
/// options outlive the object. Thread: owned by one.
class Session {
 public:
  using Print = std::function<std::string(const Json&)>;

  Session(Client client, const Options& options) : client_(std::move(client)), options_(options) {}

  int show(const std::string& path, const Print& print);
  /// show() of the cluster as it is: with a word where that is not so any more.
  int show_current(const std::string& path, const Print& print);
  /// done: what is said if it was taken.
  int post(const std::string& path, Json body, const std::string& done);

  int accuracy();
  int explain();
  int forecast();
  int history();
  int maintenance();
  int plan();
  int query();
  int record();
  int export_series();
  /// approve or reject.
  int settle(const std::string& verb);
  int tune();
  int watch();

 private:
  VmNames names();
  void warn_if_old();
  /// Into the file that was named.
  int download(const std::string& path, mode_t mode = 0666);

  Client client_;
  const Options& options_;
};

}  // namespace proteus::ctl
