// Not to be included: what CMake precompiles for every test if PROTEUS_PRECOMPILE is on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/precompiled.h"
