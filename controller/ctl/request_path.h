#pragma once

#include <string>
#include <vector>

#include "controller/ctl/client.h"

namespace proteus::ctl {

/// A path with what is asked for behind it; what is empty is left out. Thread: owned by one.
class RequestPath {
 public:
  explicit RequestPath(std::string path) : path_(std::move(path)) {}
  void add(const char* name, const std::string& value) {
    if (value.empty()) return;
    path_ += (has_any_ ? "&" : "?") + std::string(name) + "=" + url_encode(value);
    has_any_ = true;
  }
  void add(const char* name, const std::vector<std::string>& values) {
    for (const std::string& value : values) add(name, value);
  }
  const std::string& text() const { return path_; }

 private:
  std::string path_;
  bool has_any_ = false;
};

}  // namespace proteus::ctl
