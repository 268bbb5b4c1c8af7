#pragma once

namespace proteus::ham {

/// How much of a VM waits for its own limit, in cores' worth of vCPUs. Nothing while demand fits: a quota lets bursts
/// through. Once demand exceeds the limit, work piles up until the vCPUs that carry it, ⌈demand⌉ of them, never sleep;
/// what they do not run, they wait.
double held_back_cores(double demand_cores, double limit_cores, int vcpus);

}  // namespace proteus::ham
