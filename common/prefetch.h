#pragma once

#include <cstddef>

namespace proteus {

/// Asks the processor for an object's cache lines before they are read: a loop over much that lies here and there, and
/// is in no cache, waits for several elements at a time then instead of for one after the other. A hint: no value
/// depends on it. object may be null.
template <typename T>
void prefetch(const T* object) {
  if (object == nullptr) return;
  constexpr std::size_t kLine = 64;
  const char* bytes = reinterpret_cast<const char*>(object);
  for (std::size_t at = 0; at < sizeof(T); at += kLine) __builtin_prefetch(bytes + at);
  __builtin_prefetch(bytes + sizeof(T) - 1);
}

}  // namespace proteus
