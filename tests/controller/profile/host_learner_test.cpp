#include "controller/profile/host_learner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace proteus::profile {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

/// A host alone in its class.
Fingerprint fingerprint_of(HostLearner& learner) {
  EvidenceByResource own;
  learner.add_evidence(own);
  Fingerprint fingerprint;
  learner.write(own, fingerprint);
  return fingerprint;
}

/// A minute of requests each second at a load, with the given answer and noise.
void feed_storage(HostLearner& learner, Timestamp from, double load, double response_s, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> noise(0.5, 1.5);
  for (int i = 0; i < 60; ++i) {
    learner.observe(Resource::kStorage, from + seconds(i), load, load, load * response_s * noise(random));
  }
}

TEST(CurveShape, BinsOfADoublingScaleFollowEachOther) {
  const CurveShape shape = shape_of(Resource::kStorage);
  EXPECT_EQ(shape.bin_of(0), 0u);
  EXPECT_EQ(shape.bin_of(9.9), 0u);
  EXPECT_EQ(shape.bin_of(10), 1u);
  EXPECT_EQ(shape.bin_of(29.9), 1u);
  EXPECT_EQ(shape.bin_of(30), 2u);
  EXPECT_EQ(shape.bin_of(1e300), shape.bins - 1);
  for (std::size_t bin = 0; bin < shape.bins; ++bin) EXPECT_EQ(shape.bin_of(shape.centre(bin)), bin);
  EXPECT_LT(shape.centre(shape.bins - 1), shape.end());
}

TEST(Prior, RestsOnWhatWasCalibrated) {
  const Prior assumed = prior_of(Resource::kStorage, {});
  EXPECT_EQ(assumed.source, "assumed");
  const Prior measured = prior_of(Resource::kStorage, {{"storage_read_latency_ns", 200'000}});
  EXPECT_EQ(measured.source, "calibrated storage_read_latency_ns");
  EXPECT_NEAR(measured.curve.at(10), 200e-6, 1e-6);
  EXPECT_GT(measured.curve.at(36'000), 220e-6) << "nine tenths of what eight channels serve";
  EXPECT_GT(measured.curve.at(80'000), 2 * measured.curve.at(10));
  EXPECT_NEAR(prior_of(Resource::kExits, {{"exit_round_trip_ns", 5'000}}).curve.at(0.5), 5e-6, 1e-12);
  EXPECT_EQ(prior_of(Resource::kMemory, {}).curve.at(0.5), 0);
  EXPECT_GT(prior_of(Resource::kMemory, {}).curve.at(0.97), 0);
  EXPECT_EQ(prior_of(Resource::kStorage, {{"storage_read_latency_ns", 0}}).source, "assumed");
}

TEST(HostLearner, SaysThatItKnowsNothingYet) {
  HostLearner learner(hours(24));
  const Fingerprint fingerprint = fingerprint_of(learner);
  for (const Resource resource : kCurveResources) {
    EXPECT_EQ(fingerprint.curve_of(resource)->evidence, 0) << to_string(resource);
    EXPECT_EQ(fingerprint.curve_of(resource)->prior, "assumed") << to_string(resource);
  }
  EXPECT_NEAR(fingerprint.storage.curve.error_at(5) / fingerprint.storage.curve.at(5), 1, 0.01)
      << "it may be anything like that";
}

TEST(HostLearner, LearnsWhatStorageAnswers) {
  HostLearner learner(hours(24));
  Timestamp now = kStart;
  for (const double load : {20.0, 200.0, 2000.0}) {
    for (int minute = 0; minute < 30; ++minute, now += seconds(60)) {
      feed_storage(learner, now, load, 0.002 + load * 1e-6, static_cast<std::uint64_t>(minute));
    }
  }
  const HostCurve storage = fingerprint_of(learner).storage;
  EXPECT_NEAR(storage.curve.at(20), 0.00202, 0.0001);
  EXPECT_NEAR(storage.curve.at(225), 0.0022, 0.0002);
  EXPECT_NEAR(storage.curve.at(1915), 0.004, 0.0004);
  EXPECT_LT(storage.curve.error_at(20), 0.0001);
  EXPECT_GT(storage.evidence, 1e6);
  double previous = 0;
  for (double load = 0; load < 1e6; load = load * 1.1 + 1) {
    ASSERT_GE(storage.curve.at(load), previous);
    previous = storage.curve.at(load);
  }
}

TEST(HostLearner, BeginsWhereItsClassIs) {
  HostLearner known(hours(24));
  for (int minute = 0; minute < 30; ++minute) feed_storage(known, kStart + seconds(60 * minute), 100, 0.01, 1);
  HostLearner fresh(hours(24));
  EvidenceByResource of_class;
  known.add_evidence(of_class);
  fresh.add_evidence(of_class);
  Fingerprint fingerprint;
  fresh.write(of_class, fingerprint);
  EXPECT_NEAR(fingerprint.storage.curve.at(100), 0.01, 0.001);
  EXPECT_EQ(fingerprint.storage.evidence, 0);
  EXPECT_EQ(fingerprint.storage.prior, "hosts of its class; assumed");
  EXPECT_GT(fingerprint.storage.curve.error_at(100), 0.005) << "no other host is this one";
  // What it sees itself outweighs the class.
  for (int minute = 0; minute < 30; ++minute) feed_storage(fresh, kStart + seconds(60 * minute), 100, 0.001, 1);
  EXPECT_NEAR(fingerprint_of(fresh).storage.curve.at(100), 0.001, 0.0002);
}

TEST(HostLearner, CalibratedAnewKeepsItsEvidence) {
  HostLearner learner(hours(24));
  for (int minute = 0; minute < 30; ++minute) feed_storage(learner, kStart + seconds(60 * minute), 100, 0.01, 1);
  const double before = fingerprint_of(learner).storage.curve.at(100);
  learner.set_calibration({{"storage_read_latency_ns", 100'000}});
  const HostCurve after = fingerprint_of(learner).storage;
  EXPECT_NEAR(after.curve.at(100), before, 0.001);
  EXPECT_EQ(after.prior, "calibrated storage_read_latency_ns");
}

TEST(HostLearner, LearnsStallsDropsAndExits) {
  HostLearner learner(hours(24));
  for (int i = 0; i < 20'000; ++i) {
    const Timestamp now = kStart + seconds(i);
    const bool full = i % 2 == 0;
    learner.observe(Resource::kMemory, now, full ? 0.97 : 0.5, 1, full ? 0.2 : 0);
    learner.observe(Resource::kNetwork, now, full ? 50e6 : 1e6, 10'000, full ? 100 : 0);
    learner.observe(Resource::kExits, now, 0.5, 100, 100 * 30e-6);
  }
  const Fingerprint host = fingerprint_of(learner);
  EXPECT_NEAR(host.memory.curve.at(0.975), 0.2, 0.02);
  EXPECT_LT(host.memory.curve.at(0.5), 0.01);
  EXPECT_NEAR(host.network.curve.at(50e6), 0.01, 0.001);
  EXPECT_LT(host.network.curve.at(1e6), 0.001);
  EXPECT_NEAR(host.exits.curve.at(0.55), 30e-6, 1e-6);
}

}  // namespace
}  // namespace proteus::profile
