// Tables of text that simulations read: traces of demand, and the smaller ones beside them.
#include <cmath>
#include <cstdlib>

#include "controller/simulate/trace/csv.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  return {"id,t0,t1,t2\nweb,0.5,1,2e-3\ndb,0,12.25,7\n", "id,t0\r\na,1\r\n", "vm,vcpus,memory\nv1,2,4096\nv2,,\n"};
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  const std::string_view text = fuzz::text_of(data, size);
  if (const auto table = simulate::parse_csv(text, "input")) {
    for (const auto& row : table->rows) {
      if (row.size() != table->header.size()) std::abort();
    }
    for (const std::string& name : table->header) {
      if (!table->column(name)) std::abort();
    }
  }
  if (const auto traces = simulate::parse_traces(text, "input")) {
    if (traces->series() == 0 || traces->values.size() != traces->series() * traces->steps) std::abort();
    for (const double value : traces->values) {
      if (!std::isfinite(value) || value < 0) std::abort();
    }
  }
  return 0;
}
