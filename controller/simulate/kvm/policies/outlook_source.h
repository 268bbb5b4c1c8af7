#pragma once

#include <vector>

#include "controller/simulate/kvm/policies/outlook.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

/// Where a policy's outlook comes from.
class OutlookSource {
 public:
  virtual ~OutlookSource() = default;
  /// Once a step, before fill.
  virtual void observe(const Console& /*console*/) {}
  virtual void fill(const Console& console, Outlook& outlook) = 0;
  /// [vm] memory that a guest may need within the hour.
  virtual std::vector<double> memory_needs(const Console& console) = 0;
  /// [vm] what it has needed at most in a week.
  virtual std::vector<double> memory_peaks(const Console& console);

 private:
  std::vector<double> peaks_;
};

}  // namespace proteus::simulate::kvm
