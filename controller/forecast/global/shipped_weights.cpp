#include "controller/forecast/global/shipped_weights.h"

#include <string_view>
#include <utility>

// PROTEUS_WEIGHTS_FILE: path of weights.bin, from CMake.
asm(".section .rodata\n"
    ".balign 8\n"
    "proteus_forecast_weights:\n"
    ".incbin \"" PROTEUS_WEIGHTS_FILE
    "\"\n"
    "proteus_forecast_weights_end:\n"
    ".previous\n");
extern "C" {
extern const char proteus_forecast_weights[] __attribute__((visibility("hidden")));
extern const char proteus_forecast_weights_end[] __attribute__((visibility("hidden")));
}

namespace proteus::forecast::global {

namespace {

std::string_view bytes() {
  return {proteus_forecast_weights, static_cast<std::size_t>(proteus_forecast_weights_end - proteus_forecast_weights)};
}

}  // namespace

std::shared_ptr<const Weights> shipped_weights() {
  // A test reads them, so that no program is built whose weights do not decode.
  static const auto weights = std::make_shared<const Weights>(parse_weights(bytes(), "the program's").value());
  return weights;
}

}  // namespace proteus::forecast::global
