#pragma once

#include <memory>
#include <vector>

#include "controller/simulate/kvm/policies/outlook_source.h"

namespace proteus::simulate::kvm {

/// Two outlooks, of which the one counts that has lately said better what came: every six hours, what each says of the
/// CPU that the VMs of each host will want together is kept, and an hour later scored against what they did (continuous
/// ranked probability score, a proper one: Gneiting & Raftery, 2007; of the host's capacity). Older scores fade with a
/// half-life of a day. Until a day has been scored, and where they are equal, the plain one counts.
class CheckedSource final : public OutlookSource {
 public:
  CheckedSource(std::unique_ptr<OutlookSource> plain, std::unique_ptr<OutlookSource> forecasts);
  void observe(const Console& console) override;
  void fill(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;

  bool forecasts_count() const { return checks_ >= kChecksMin && forecasts_.score < plain_.score; }

 private:
  static constexpr int kChecksMin = 4;
  struct Candidate {
    std::unique_ptr<OutlookSource> source;
    double score = 0;                       ///< of what was checked, fading
    std::vector<std::vector<double>> said;  ///< [host][cell] MHz, at the last check
    std::vector<double> weights;            ///< [cell] of these
  };
  void keep(const Console& console, Candidate& candidate);
  void score(const Console& console, Candidate& candidate);

  Candidate plain_;
  Candidate forecasts_;
  Outlook scratch_;
  std::vector<std::vector<int>> vms_;  ///< [host] at the last check
  int checked_at_ = kNever;            ///< tick of the last check
  int checks_ = 0;
};

}  // namespace proteus::simulate::kvm
