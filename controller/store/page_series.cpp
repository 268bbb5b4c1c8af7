#include "controller/store/page_series.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "controller/store/packed_block.h"

namespace proteus::store {
namespace {

std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

/// next(i): the i-th of `count` values to pack.
template <typename Next>
void put_blocks(std::string& out, std::size_t count, const Next& next) {
  std::array<std::int64_t, kBlockValues> block;
  for (std::size_t begin = 0; begin < count; begin += kBlockValues) {
    const std::size_t size = std::min(kBlockValues, count - begin);
    for (std::size_t i = 0; i < size; ++i) block[i] = next(begin + i);
    put_block(out, {block.data(), size});
  }
}

bool take_blocks(ByteSpan& in, std::span<std::int64_t> values) {
  for (std::size_t begin = 0; begin < values.size(); begin += kBlockValues) {
    const std::size_t size = std::min(kBlockValues, values.size() - begin);
    if (!take_block(in, size, values.data() + begin)) return false;
  }
  return true;
}

std::int64_t sum_of(const std::int64_t* begin, const std::int64_t* end) {
  std::uint64_t even = 0;
  std::uint64_t odd = 0;
  for (; end - begin >= 2; begin += 2) {
    even += static_cast<std::uint64_t>(begin[0]);
    odd += static_cast<std::uint64_t>(begin[1]);
  }
  if (begin != end) even += static_cast<std::uint64_t>(*begin);
  return static_cast<std::int64_t>(even + odd);
}

/// Between two that are wanted the differences are added up where they were unpacked.
bool take_deltas_at(ByteSpan& in, std::int64_t first, std::uint64_t factor, std::size_t count,
                    std::span<const std::uint32_t> wanted, std::span<std::int64_t> values) {
  std::array<std::int64_t, kBlockValues> block;
  std::int64_t value = first;
  std::size_t given = 0;
  const auto give = [&] { values[given++] = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) * factor); };
  if (!wanted.empty() && wanted[0] == 0) give();
  for (std::size_t begin = 1; begin < count; begin += kBlockValues) {
    const std::size_t size = std::min(kBlockValues, count - begin);
    if (!take_block(in, size, block.data())) return false;
    const std::int64_t* at = block.data();
    while (given < wanted.size() && wanted[given] < begin + size) {
      const std::int64_t* const end = block.data() + (wanted[given] - begin) + 1;
      value = sum(value, sum_of(at, end));
      at = end;
      give();
    }
    value = sum(value, sum_of(at, block.data() + size));
  }
  return true;
}

bool take_sparse(ByteSpan& in, std::int64_t first, std::span<std::int64_t> values) {
  std::int64_t value = first;
  std::size_t at = 0;
  while (in.at != in.end) {
    const std::uint64_t passed = in.varint();
    const std::int64_t step = in.signed_varint();
    if (!in.ok || passed >= values.size() - at) return false;
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(at), passed, value);
    at += passed;
    value = sum(value, step);
    values[at++] = value;
  }
  std::fill(values.begin() + static_cast<std::ptrdiff_t>(at), values.end(), value);
  return true;
}

bool take_sparse_at(ByteSpan& in, std::int64_t first, std::uint64_t factor, std::size_t count,
                    std::span<const std::uint32_t> wanted, std::span<std::int64_t> values) {
  std::int64_t value = first;
  std::size_t at = 0;
  std::size_t given = 0;
  const auto give = [&](std::size_t end) {
    const auto scaled = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) * factor);
    for (; given < wanted.size() && wanted[given] < end; ++given) values[given] = scaled;
  };
  while (in.at != in.end) {
    const std::uint64_t passed = in.varint();
    const std::int64_t step = in.signed_varint();
    if (!in.ok || passed >= count - at) return false;
    at += passed;
    give(at);
    value = sum(value, step);
    ++at;
  }
  give(count);
  return true;
}

}  // namespace

ValueFigures figures_of(std::span<const std::int64_t> values) {
  ValueFigures figures;
  figures.min = figures.max = values.front();
  for (std::size_t i = 1; i < values.size(); ++i) {
    figures.monotone &= values[i] >= values[i - 1];
    figures.changes += values[i] != values[i - 1];
    figures.min = std::min(figures.min, values[i]);
    figures.max = std::max(figures.max, values[i]);
  }
  if (figures.changes == 0) return figures;
  const auto offset = [&](std::int64_t value) { return static_cast<std::uint64_t>(difference(value, figures.min)); };
  if (std::bit_width(offset(figures.max)) + std::bit_width(values.size()) <= 64) {
    std::uint64_t total = 0;
    for (const std::int64_t value : values) total += offset(value);
    figures.sum_above_min = total;
  } else {
    for (const std::int64_t value : values) figures.sum_above_min += offset(value);
  }
  return figures;
}

void put_values(std::string& out, std::span<const std::int64_t> values, Mode mode) {
  const auto delta = [&](std::size_t i) { return difference(values[i + 1], values[i]); };
  switch (mode) {
    case Mode::kConstant: break;
    case Mode::kSparse: {
      std::uint64_t passed = 0;
      std::int64_t before = values.front();
      for (const std::int64_t value : values) {
        if (value == before) {
          ++passed;
          continue;
        }
        put_varint(out, passed);
        put_varint(out, zigzag(difference(value, before)));
        before = value;
        passed = 0;
      }
      break;
    }
    case Mode::kFrame: put_blocks(out, values.size(), [&](std::size_t i) { return values[i]; }); break;
    case Mode::kDelta: put_blocks(out, values.size() - 1, delta); break;
    case Mode::kDeltaOfDelta:
      put_varint(out, zigzag(delta(0)));
      put_blocks(out, values.size() - 2, [&](std::size_t i) { return difference(delta(i + 1), delta(i)); });
      break;
    case Mode::kClassed: break;  // classed_values.h
  }
}

bool take_values(ByteSpan in, Mode mode, std::int64_t first, std::uint64_t factor, std::span<std::int64_t> values) {
  const std::size_t n = values.size();
  const auto scaled = [factor](std::int64_t value) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) * factor);
  };
  const auto scale_all = [&] {
    if (factor == 1) return;
    for (std::int64_t& value : values) value = scaled(value);
  };
  switch (mode) {
    case Mode::kConstant: std::fill(values.begin(), values.end(), scaled(first)); break;
    case Mode::kSparse:
      if (!take_sparse(in, first, values)) return false;
      scale_all();
      break;
    case Mode::kFrame:
      if (!take_blocks(in, values)) return false;
      scale_all();
      break;
    case Mode::kDelta: {
      if (!take_blocks(in, values.subspan(1))) return false;
      std::int64_t value = first;
      values[0] = scaled(first);
      for (std::size_t i = 1; i < n; ++i) {
        value = sum(value, values[i]);
        values[i] = scaled(value);
      }
      break;
    }
    case Mode::kDeltaOfDelta: {
      if (n < 2) return false;
      std::int64_t step = in.signed_varint();
      values[0] = first;
      std::int64_t value = values[1] = sum(first, step);
      if (!take_blocks(in, values.subspan(2))) return false;
      for (std::size_t i = 2; i < n; ++i) {
        step = sum(step, values[i]);
        values[i] = value = sum(value, step);
      }
      scale_all();
      break;
    }
    case Mode::kClassed: return false;
  }
  return in.ok && in.at == in.end;
}

bool take_values_at(ByteSpan in, Mode mode, std::int64_t first, std::uint64_t factor, std::size_t count,
                    std::span<const std::uint32_t> wanted, std::span<std::int64_t> values) {
  if (mode == Mode::kDelta) {
    return take_deltas_at(in, first, factor, count, wanted, values) && in.ok && in.at == in.end;
  }
  if (mode == Mode::kSparse) return take_sparse_at(in, first, factor, count, wanted, values);
  static thread_local std::vector<std::int64_t> all;
  all.resize(count);
  if (!take_values(in, mode, first, factor, all)) return false;
  for (std::size_t i = 0; i < wanted.size(); ++i) values[i] = all[wanted[i]];
  return true;
}

}  // namespace proteus::store
