// A policy file, as an operator writes it or pushes it through the API.
#include "controller/ham/policy.h"

#include <cstdlib>

#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  return {
      "name = \"p\"\nautomation = \"approve\"\n[strategies]\nreshape = false\n[prices]\ncontention_per_core_hour = "
      "1.5\n"
      "[limits]\ncooldown = \"5m\"\ngain_min = 0.1\nmigration_bandwidth = \"1GiB\"\n",
      "[[affinity]]\nname = \"a\"\nvms = [\"web*\", \"label:tier=db\"]\napart = true\nhard = false\nprice = 2\n"
      "[[pin]]\nname = \"b\"\nvms = [\"x\"]\nhosts = [\"h1\"]\n[[window]]\nname = \"w\"\ndays = [\"mon\"]\nfrom = "
      "\"08:00\"\n"
      "to = \"18:00\"\nforbid = \"migrate\"\n",
      "[[size]]\nname = \"s\"\nvms = [\"*\"]\nvcpus_min = 1\nvcpus_max = 4\nmemory_max = \"8GiB\"\n[[host_group]]\n"
      "name = \"g\"\nhosts = [\"h*\"]\n[[power]]\nname = \"e\"\nhosts = [\"h1\"]\nidle_watts = 80\npeak_watts = 300\n",
      "[[reservation]]\nname = \"r\"\nvms = [\"x\"]\ncpu_cores = 1e308\n[[priority]]\nname = \"q\"\nvms = "
      "[\"y\"]\nweight = 3\n",
  };
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  const auto policy = ham::parse_policy(fuzz::text_of(data, size), "p.toml");
  if (!policy && policy.error().message.empty()) std::abort();  // whoever wrote it is told what is wrong
  return 0;
}
