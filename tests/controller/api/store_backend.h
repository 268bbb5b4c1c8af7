#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controller/api/backend.h"

namespace proteus::api {

/// A controller that has nothing but its store.
class StoreBackend final : public Backend {
 public:
  explicit StoreBackend(const store::Store& store) : store_(store) {}
  std::shared_ptr<const Snapshot> snapshot() const override { return std::make_shared<Snapshot>(); }
  Status submit(const store::OperatorInput&) override { return Error{ErrorCode::kUnavailable, "none"}; }
  Result<SeriesOutlook> outlook(const std::string&, forecast::Resource) override {
    return Error{ErrorCode::kNotFound, "none"};
  }
  Status push(const forecast::SignalPush&, const std::string&, const std::string&) override {
    return Error{ErrorCode::kNotFound, "none"};
  }
  Nanoseconds forecast_step() const override { return std::chrono::minutes(1); }
  Result<std::vector<AccuracyReport>> accuracy(const std::string&) override { return std::vector<AccuracyReport>(); }
  const store::Store& store() const override { return store_; }

 private:
  const store::Store& store_;
};

}  // namespace proteus::api
