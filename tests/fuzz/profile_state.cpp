// What was learned of a host, as the store keeps it, behind its hash: what a damaged but well hashed state may do.
#include <xxhash.h>

#include <cmath>
#include <cstdlib>

#include "controller/profile/saved_state.h"
#include "controller/profile/wait_factor.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {
namespace {

constexpr std::size_t kHashAt = 1;  // behind the version
constexpr std::size_t kHashBytes = 8;
constexpr Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

/// One host's record, which the input is.
profile::SavedRecord record_of(std::string_view input) {
  std::string bytes(input.substr(0, kHashAt));
  const std::string_view body = input.substr(bytes.size());
  const std::uint64_t hash = XXH64(body.data(), body.size(), 0);
  bytes.append(reinterpret_cast<const char*>(&hash), kHashBytes);
  bytes += body;
  return {"hosts/h", bytes};
}

void must_be_sane(const profile::ResponseCurve& curve) {
  double last = 0;
  for (const profile::ResponseCurve::Knot& knot : curve.knots()) {
    if (std::isnan(knot.response) || knot.response < last || std::isnan(knot.error)) std::abort();
    last = knot.response;
  }
}

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (const int ticks : {0, 1, 30}) {
    profile::CurveLearner cpu(profile::prior_curve(4), std::chrono::hours(24));
    profile::WaitFactorLearner wait_factor(std::chrono::hours(24));
    profile::HostLearner answers(std::chrono::hours(24));
    for (int i = 0; i < ticks; ++i) {
      cpu.observe(kStart + std::chrono::seconds(i), 0.03 * i, 4, 0.2 * i);
      profile::Contenders contenders;
      for (int vm = 0; vm < 16; ++vm) contenders.add_vm(0.01 + 0.01 * i, 1);
      wait_factor.observe(kStart + std::chrono::seconds(i), contenders, 4, 0.01 * i, 1);
      answers.observe(profile::Resource::kStorage, kStart + std::chrono::seconds(i), 50.0 * i, 100, 0.1);
    }
    profile::SavedHost host;
    host.host = HostId("h");
    host.host_class = "class";
    host.cpu_capacity_cores = ticks > 0 ? 4 : 0;
    host.cpu = cpu.saved();
    host.wait_factor = wait_factor.saved();
    host.answers = answers.saved();
    all.push_back(profile::encode({{}, {host}})[0].bytes.erase(kHashAt, kHashBytes));
  }
  return all;
}

void restore(std::string_view input) {
  const profile::SavedRecord record = record_of(input);
  const auto read = profile::decode(std::span(&record, 1));
  if (!read) return;
  const profile::SavedHost& host = read->hosts.at(0);
  if (profile::encode(*read)[0] != record) std::abort();  // there is one way to write it
  profile::CurveLearner cpu(profile::prior_curve(host.cpu_capacity_cores), std::chrono::hours(24));
  cpu.restore(host.cpu);
  profile::HostLearner answers(std::chrono::hours(24));
  answers.restore(host.answers);
  cpu.observe(kStart, 0.5, 4, 0.1);
  must_be_sane(cpu.curve());
  profile::WaitFactorLearner wait_factor(std::chrono::hours(24));
  wait_factor.restore(host.wait_factor);
  must_be_sane(wait_factor.curve());
  must_be_sane(wait_factor.known(wait_factor.evidence()));
  profile::EvidenceByResource of_class;
  answers.add_evidence(of_class);
  profile::Fingerprint fingerprint;
  answers.write(of_class, fingerprint);
  for (const profile::Resource resource : profile::kCurveResources) must_be_sane(fingerprint.curve_of(resource)->curve);
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  proteus::fuzz::restore(proteus::fuzz::text_of(data, size));
  return 0;
}
