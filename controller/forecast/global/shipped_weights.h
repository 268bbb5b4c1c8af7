#pragma once

#include <memory>

#include "controller/forecast/global/weights.h"

namespace proteus::forecast::global {

/// The weights.bin of this room, built into the program; read once. Thread: any.
std::shared_ptr<const Weights> shipped_weights();

}  // namespace proteus::forecast::global
