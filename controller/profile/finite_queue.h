#pragma once

namespace proteus::profile {

/// vCPUs that are busy to different degrees are taken as so many equal ones as have the same variance: `busy` cores'
/// worth of them, Σ b² / n = squares, of VMs that keep n vCPUs busy with b cores. Two VMs that never rest wait for
/// nobody on a host of as many CPUs; many small ones with the same load do.
inline double equal_vcpus(double busy_cores, double squares) {
  return squares > 0 ? busy_cores * busy_cores / squares : 0;
}

/// How much of `vcpus` vCPUs that together want `load` cores waits for `capacity` cores: cores' worth of vCPUs that are
/// runnable but do not run. A finite population: a vCPU is running, waiting or asleep, so no more than vcpus − capacity
/// can ever wait, and none does where there are no more vCPUs than CPUs. The number runnable is taken as normal with
/// the mean m and the binomial variance m·(1 − m/vcpus); what waits stays runnable longer, so m = load + waiting is
/// iterated (four rounds). A queue's infinite population overrates small hosts. Source: machine-repairman (Engset)
/// model, normal approximation of the binomial loss function.
double finite_wait_cores(double load_cores, double vcpus, double capacity_cores);

}  // namespace proteus::profile
