#include "agent/resident_memory.h"

#include <malloc.h>
#include <sys/mman.h>

#include <charconv>
#include <fstream>
#include <string_view>

namespace proteus {
namespace {

/// One mapping of /proc/self/smaps, as far as it was read.
struct Mapping {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  bool is_shared_code = false;  ///< private mapping of a file that may not be written to
  bool has_own_pages = false;
  std::size_t resident_kib = 0;
};

/// The first line of a mapping: "55d0c000-55d0e000 r--p 00000000 fe:00 123   /usr/bin/x".
bool parse_head(std::string_view line, Mapping& mapping) {
  Mapping m;
  const char* const end = line.data() + line.size();
  const auto [dash, bad_begin] = std::from_chars(line.data(), end, m.begin, 16);
  if (bad_begin != std::errc{} || dash == end || *dash != '-') return false;
  const auto [blank, bad_end] = std::from_chars(dash + 1, end, m.end, 16);
  if (bad_end != std::errc{} || end - blank < 6 || *blank != ' ') return false;
  const std::string_view rights(blank + 1, 4);
  const bool is_file = line.find(" /") != std::string_view::npos && line.find("/memfd:") == std::string_view::npos;
  m.is_shared_code = is_file && rights[0] == 'r' && rights[1] == '-' && rights[3] == 'p';
  mapping = m;
  return true;
}

std::size_t kib_of(std::string_view line) {
  const std::size_t digits = line.find_first_of("0123456789");
  std::size_t kib = 0;
  if (digits != std::string_view::npos) std::from_chars(line.data() + digits, line.data() + line.size(), kib);
  return kib;
}

}  // namespace

void keep_heap_small() {
  ::mallopt(M_ARENA_MAX, 1);
  // by default both bounds grow with the largest piece ever freed, which is the kernel's types at the start
  ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 512 * 1024);
}

std::size_t release_start_up_memory() {
  ::malloc_trim(0);
  std::size_t released = 0;
  Mapping mapping;
  const auto let_go = [&] {
    if (!mapping.is_shared_code || mapping.has_own_pages || mapping.resident_kib == 0) return;
    const std::size_t bytes = mapping.end - mapping.begin;
    if (::madvise(reinterpret_cast<void*>(mapping.begin), bytes, MADV_DONTNEED) == 0) {
      released += mapping.resident_kib * 1024;
    }
  };
  std::ifstream smaps("/proc/self/smaps");
  for (std::string line; std::getline(smaps, line);) {
    Mapping next;
    if (parse_head(line, next)) {
      let_go();
      mapping = next;
    } else if (line.starts_with("Rss:")) {
      mapping.resident_kib = kib_of(line);
    } else if (line.starts_with("Anonymous:")) {
      mapping.has_own_pages = kib_of(line) > 0;
    }
  }
  let_go();
  return released;
}

}  // namespace proteus
