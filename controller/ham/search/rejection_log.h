#pragma once

#include <map>
#include <string>
#include <vector>

#include "controller/ham/decision.h"
#include "controller/ham/rules/rule.h"

namespace proteus::ham {

/// What forbade what, kept short: one line per candidate and rule, three per VM, 32 in all.
class RejectionLog {
 public:
  void add(const std::string& vm, const std::string& candidate, const Refusal& refusal);
  void add_first(Rejection rejection);
  bool takes(const std::string& vm) const;
  bool full() const;
  std::vector<Rejection> take() && { return std::move(rejections_); }

 private:
  std::vector<Rejection> rejections_;
  std::map<std::string, int> per_vm_;
};

}  // namespace proteus::ham
