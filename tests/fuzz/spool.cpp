// A file of the agent's spool, as a former process or a dying disk left it.
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "agent/publish/spool_segment.h"
#include "common/wire/telemetry_codec.h"
#include "tests/common/wire/telemetry_samples.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/memory_file.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  std::mt19937_64 random(3);
  wire::FrameEncoder encoder(2);
  std::vector<std::string> messages;
  const auto catalog = make_catalog("h1", 7, 1, 0);
  for (std::uint64_t sequence = 1; sequence <= 3; ++sequence) {
    encoder.encode(make_sample(catalog, sequence, random), messages);
  }
  char directory[] = "/tmp/proteus-fuzz-XXXXXX";
  if (::mkdtemp(directory) == nullptr) std::abort();
  const std::string path = std::string(directory) + "/segment";
  std::string content;
  {
    const auto segment = publish::SpoolSegment::create(path);
    if (!segment || !(*segment)->append(messages)) std::abort();
    std::FILE* file = std::fopen(path.c_str(), "rb");
    char buffer[4096];
    for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) content.append(buffer, n);
    std::fclose(file);
    (*segment)->remove();
  }
  ::rmdir(directory);
  return {content, content.substr(0, content.size() - 3), content.substr(0, 8)};
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  const fuzz::MemoryFile file(fuzz::text_of(data, size));
  publish::SpoolSegment::Damage damage;
  const auto segment = publish::SpoolSegment::open(file.path(), damage);
  if (!segment) return 0;
  if ((*segment)->bytes() + damage.cut_bytes != size) std::abort();
  for (const auto& record : (*segment)->records()) {
    if (!(*segment)->read(record)) std::abort();  // what was indexed can be read
  }
  return 0;
}
