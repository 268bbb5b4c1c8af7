// calibration.json, as it lies in an agent's state directory.
#include <cstdlib>

#include "agent/collect/calibration_file.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  collect::Calibration calibration;
  calibration.time = from_unix_ns(1'764'115'200'000'000'000);
  calibration.figures = {{"page_fault_ns", 512, 900, 0.04, ""}, {"exit_round_trip_ns", {}, {}, 0, "/dev/kvm: no"}};
  return {collect::calibration_json(calibration), collect::calibration_json({})};
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  const auto parsed = collect::parse_calibration(fuzz::text_of(data, size));
  // What was accepted can be written, and says the same when it is read again.
  if (!parsed) return 0;
  const std::string text = collect::calibration_json(*parsed);
  const auto again = collect::parse_calibration(text);
  if (!again || collect::calibration_json(*again) != text) std::abort();
  return 0;
}
