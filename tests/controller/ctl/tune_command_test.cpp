#include "controller/ctl/tune_command.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "controller/forecast/global/weights.h"

namespace proteus::ctl {
namespace {

Json answer_of(const std::string& resource, double step_s, const std::vector<double>& history) {
  Json json{{"resource", resource}, {"step_s", step_s}, {"history_end", "2026-01-31T08:00:00.000Z"}};
  json["history"] = Json::array();
  for (const double value : history) json["history"].push_back(std::isnan(value) ? Json(nullptr) : Json(value));
  return json;
}

TEST(TuneCommand, MakesBinsOfFiveMinutesThatEndWithTheHistory) {
  const double gap = std::nan("");
  // Two steps too many; a bin that is known in part, one not at all.
  const Result<BinnedHistory> made = binned_history(
      answer_of("memory", 60, {9, 9, 1, 1, 1, 1, 6, gap, 3, gap, 3, gap, gap, gap, gap, gap, gap, 8, 8, 8, 8, 8}));
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->values, (std::vector<double>{2, 3, 5.5, 8}));
  EXPECT_EQ(made->kind, forecast::global::Kind::kMemory);
  EXPECT_EQ(made->end_s, 1769846400);
  EXPECT_TRUE(binned_history(answer_of("cpu", 120, {1, 2, 3}))->values.empty()) << "two minutes do not divide five";
  EXPECT_TRUE(binned_history(answer_of("cpu", 300, {}))->values.empty());
  EXPECT_EQ(binned_history(Json::parse(R"({"history": 3})")).error().code, ErrorCode::kCorrupt);
  Json bad = answer_of("cpu", 300, {1});
  bad["history_end"] = "yesterday";
  EXPECT_EQ(binned_history(bad).error().code, ErrorCode::kCorrupt);
}

/// A controller that knows one VM, of which only the CPU has been measured.
class Tuning : public ::testing::Test {
 protected:
  void serve(std::vector<double> history) {
    server_.Get("/v1/vms", [](const httplib::Request&, httplib::Response& out) {
      out.set_content(R"([{"id": "u-1", "name": "web"}])", "application/json");
    });
    server_.Get("/v1/vms/u-1/forecast", [history](const httplib::Request& in, httplib::Response& out) {
      if (in.get_param_value("resource") != "cpu") {
        out.status = 404;
        return out.set_content(R"({"error": {"code": "not_found", "message": "not measured"}})", "application/json");
      }
      out.set_content(answer_of("cpu", 300, history).dump(), "application/json");
    });
    const int port = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();  // it can be stopped only then
    std::ofstream(token_) << "secret\n";
    Result<Client> client =
        Client::create({.url = "http://127.0.0.1:" + std::to_string(port), .token_file = token_, .ca_file = {}});
    ASSERT_TRUE(client) << client.error().message;
    client_ = std::make_unique<Client>(std::move(*client));
  }
  void TearDown() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
    std::filesystem::remove(token_);
    std::filesystem::remove(file_);
  }

  const std::string token_ = ::testing::TempDir() + "tune_token";
  const std::string file_ = ::testing::TempDir() + "tune_weights.bin";
  httplib::Server server_;
  std::thread thread_;
  std::unique_ptr<Client> client_;
  std::ostringstream out_;
};

TEST_F(Tuning, WritesWeightsThatAreBetterForItsVms) {
  std::vector<double> history;
  for (int t = 0; t < 9 * 288; ++t) history.push_back(t % 10 < 4 ? 2 + 0.001 * (t % 7) : 0.2 + 0.001 * (t % 11));
  serve(history);
  TuneCommand command;
  command.file = file_;
  command.options = {.epochs = 8, .rate = 2e-3F, .windows_per_series = 400, .seed = 1};
  const Result<bool> better = run_tune(*client_, command, false, out_);
  ASSERT_TRUE(better) << better.error().message;
  EXPECT_TRUE(*better) << out_.str();
  EXPECT_TRUE(forecast::global::read_weights(file_));
  EXPECT_NE(out_.str().find("next step"), std::string::npos);
}

// After hours it said that the controller was busy.
TEST_F(Tuning, SaysBeforeItBeginsThatTheFileCannotBeWritten) {
  serve(std::vector<double>(500, 1.0));
  const Result<bool> better = run_tune(*client_, {.file = "/nonexistent/w.bin", .from = {}, .options = {}}, true, out_);
  ASSERT_FALSE(better);
  EXPECT_EQ(better.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(better.error().message.find("cannot write"), std::string::npos) << better.error().message;
}

TEST_F(Tuning, SaysThatThereIsTooLittleHistory) {
  serve(std::vector<double>(500, 1.0));
  const Result<bool> better = run_tune(*client_, {.file = file_, .from = {}, .options = {}}, true, out_);
  ASSERT_FALSE(better);
  EXPECT_NE(better.error().message.find("seven days"), std::string::npos) << better.error().message;
  EXPECT_FALSE(std::filesystem::exists(file_));
}

}  // namespace
}  // namespace proteus::ctl
