#pragma once

#include "agent/act/job.h"

namespace proteus::act {

/// Carries out SetCpuQuota, SetCpuShares, SetVcpus or SetMemory on a running domain and reads back whether it took.
/// Succeeded means that the domain was seen with the new value; failed says, in the message and as observation, what
/// the value is instead. A guest may refuse to give up a vCPU, and a balloon moves in its own time: both are watched
/// until the command's deadline.
/// An adopted job orders nothing; it watches for the value in the same way, until the deadline or, if that has passed,
/// looks once.
/// Thread: a worker.
void run_reshape(JobContext& context, const Job& job);

}  // namespace proteus::act
