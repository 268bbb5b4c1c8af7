#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

bool Console::count(Refusal refusal) {
  if (refusal != Refusal::kNone) ++refused_;
  return refusal == Refusal::kNone;
}

bool Console::migrate(int v, int h) {
  return count(cluster_.migrate(v, h));
}

bool Console::sleep(int h) {
  return count(cluster_.sleep(h));
}

bool Console::wake(int h) {
  return count(cluster_.wake(h));
}

void Console::set_balloon(int v, double ceiling_mib) {
  if (count(cluster_.set_balloon(v, ceiling_mib))) ++reshapes_;
}

bool Console::start_helper(int v, int h) {
  const bool started = count(cluster_.start_helper(v, h));
  if (started) ++helpers_;
  return started;
}

}  // namespace proteus::simulate::kvm
