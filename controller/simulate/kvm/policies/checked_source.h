#pragma once

#include <memory>
#include <vector>

#include "controller/simulate/kvm/policies/learned_response.h"
#include "controller/simulate/kvm/policies/outlook_source.h"

namespace proteus::simulate::kvm {

/// Two outlooks, of which the one counts that has lately said better what came. Decisions rest on what VMs are expected
/// to wait, so that is what is checked: every six hours, what each outlook says of the CPU that the VMs of each host
/// will want together is kept, and six hours later what they were to wait for it, by the learned curves, is scored
/// against what their demand came to by the same curves. The score of an expectation is its squared error (consistent
/// for the mean: Gneiting, 2011). Older checks fade with a half-life of a day. The forecasts count once a day has been
/// checked, and while they are ahead of the plain outlook by more than chance gives: 1.64 standard errors of the sum of
/// what they were ahead by.
class CheckedSource final : public OutlookSource {
 public:
  CheckedSource(std::unique_ptr<OutlookSource> plain, std::unique_ptr<OutlookSource> forecasts);
  void observe(const Console& console) override;
  void fill(const Console& console, Outlook& outlook) override;
  std::vector<double> memory_needs(const Console& console) override;

  bool forecasts_count() const;

 private:
  static constexpr int kChecksMin = 4;
  struct Candidate {
    std::unique_ptr<OutlookSource> source;
    std::vector<std::vector<double>> said;  ///< [host][cell] MHz wanted, at the last check
    std::vector<double> weights;            ///< [cell] of these
  };
  void keep(const Console& console, Candidate& candidate);
  void score(const Console& console);
  double expected_mhz(const Console& console, const Candidate& candidate, std::size_t host) const;
  double waiting_mhz(const Console& console, std::size_t host, double demand_mhz) const;

  Candidate plain_;
  Candidate forecasts_;
  LearnedResponse response_;
  Outlook scratch_;
  std::vector<std::vector<int>> vms_;  ///< [host] at the last check
  double ahead_ = 0;                   ///< Σ of plain squared error − forecasts', fading
  double ahead_squares_ = 0;           ///< Σ of its squares, fading likewise
  int checked_at_ = kNever;            ///< tick of the last check
  int checks_ = 0;
};

}  // namespace proteus::simulate::kvm
