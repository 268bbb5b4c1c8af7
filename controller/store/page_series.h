#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "controller/store/page.h"

/// The values of one series of a page as bytes, in every mode but kClassed; see page.h for their form. Thread: pure.
namespace proteus::store {

/// What one look over the values tells.
struct ValueFigures {
  std::int64_t min = 0;
  std::int64_t max = 0;
  bool monotone = true;
  std::uint32_t changes = 0;
  Uint128 sum_above_min = 0;
};
/// values: at least one.
ValueFigures figures_of(std::span<const std::int64_t> values);

/// Appends the values.
void put_values(std::string& out, std::span<const std::int64_t> values, Mode mode);

/// Reads values.size() values, each times `factor`; the first is known. False: the bytes are not what `mode` says.
bool take_values(ByteSpan in, Mode mode, std::int64_t first, std::uint64_t factor, std::span<std::int64_t> values);
/// Of `count` values those with the numbers `wanted`, which ascend and lie below `count`; one for each in `values`.
bool take_values_at(ByteSpan in, Mode mode, std::int64_t first, std::uint64_t factor, std::size_t count,
                    std::span<const std::uint32_t> wanted, std::span<std::int64_t> values);

}  // namespace proteus::store
