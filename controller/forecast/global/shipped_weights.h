#pragma once

#include <cstdint>
#include <memory>

#include "controller/forecast/global/weights.h"

namespace proteus::forecast::global {

/// The weights.bin of this room, built into the program; read once. Thread: any.
std::shared_ptr<const Weights> shipped_weights();
/// Tells one set of shipped weights from another: the checksum at the file's end.
std::uint64_t shipped_weights_id();

}  // namespace proteus::forecast::global
