// Runs a fuzz target without libFuzzer: over its seeds and some thousand damaged copies of them, always the same ones.
// Part of the ordinary tests. `PROGRAM seeds DIRECTORY` writes the seeds for libFuzzer to begin with.
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "tests/fuzz/fuzz_target.h"

namespace {

constexpr int kCopiesPerSeed = 2000;

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

/// A few bytes changed, cut out or put in.
std::string damaged(std::string input, std::mt19937_64& random) {
  for (std::uint64_t edits = 1 + random() % 4; edits > 0 && !input.empty(); --edits) {
    const std::size_t at = random() % input.size();
    switch (random() % 4) {
      case 0: input[at] = static_cast<char>(random()); break;
      case 1: input[at] = static_cast<char>(input[at] ^ 1 << random() % 8); break;
      case 2: input.erase(at, 1 + random() % 16); break;
      case 3: input.insert(at, std::string(1 + random() % 16, static_cast<char>(random()))); break;
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  const auto seeds = proteus::fuzz::seeds();
  if (argc == 3 && std::strcmp(argv[1], "seeds") == 0) {
    std::filesystem::create_directories(argv[2]);
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream(std::filesystem::path(argv[2]) / std::to_string(i), std::ios::binary) << seeds[i];
    }
    return 0;
  }
  std::mt19937_64 random(1);
  for (const std::string& seed : seeds) {
    run(seed);
    for (int i = 0; i < kCopiesPerSeed; ++i) run(damaged(seed, random));
  }
  std::cout << seeds.size() << " seeds, " << seeds.size() * kCopiesPerSeed << " damaged copies\n";
  return 0;
}
