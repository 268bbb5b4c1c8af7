// What the API keeps to whoever has the token: memory, time, disk, and one clear word for what makes no sense.
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "controller/api/json_view.h"
#include "controller/api/server.h"
#include "controller/api/spool.h"
#include "controller/replay/recording.h"
#include "controller/store/rocks_store.h"
#include "tests/controller/api/store_backend.h"
#include "tests/controller/store/series_feed.h"
#include "tests/temporary_directory.h"

namespace proteus::api {
namespace {

using namespace std::chrono_literals;

const Timestamp kStart = from_unix_ns(1'700'006'400'000'000'000);  // 2023-11-15T00:00:00Z
constexpr int kVms = 60;
constexpr int kTicks = 1'200;

std::string uuid(int n) {
  return "00000000-0000-4000-8000-0000000000" + std::to_string(10 + n);
}

/// Who has sent a request and reads nothing.
class Staller {
 public:
  Staller(int port, const std::string& path) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int small = 4096;
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const std::string request = "GET " + path + " HTTP/1.1\r\nAuthorization: Bearer token\r\n\r\n";
    EXPECT_EQ(::send(socket_, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  }
  ~Staller() { ::close(socket_); }
  Staller(const Staller&) = delete;
  Staller& operator=(const Staller&) = delete;

  bool is_ended(std::chrono::milliseconds wait) const {
    pollfd item{socket_, POLLRDHUP, 0};
    return ::poll(&item, 1, static_cast<int>(wait.count())) > 0;
  }

 private:
  int socket_ = -1;
};

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// A controller's API over a store with twenty minutes of sixty VMs.
class Limits : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = std::make_unique<TemporaryDirectory>();
    auto opened = store::RocksStore::open({.directory = *directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
    store::SeriesFeed feed("h1");
    std::vector<std::pair<Entity, std::vector<Series>>> entities;
    for (int vm = 0; vm < kVms; ++vm) {
      entities.push_back({store::vm_entity("vm" + std::to_string(vm), uuid(vm)),
                          {{0, Kpi::kMemoryResidentBytes, 0}, {0, Kpi::kRunQueueLatencyNs, 5}}});
    }
    feed.set_entities(entities);
    std::vector<store::JournalEntry> journal = {{0, kStart, store::Started{}}};
    ASSERT_TRUE(store_->append(journal));
    std::vector<store::RawMessage> messages;
    for (int i = 0; i < kTicks; ++i) {
      std::vector<std::optional<std::int64_t>> values;
      for (int vm = 0; vm < kVms; ++vm) values.insert(values.end(), {4096LL * (vm + i), i});
      for (auto& message : feed.tick(kStart + std::chrono::seconds(i), values)) messages.push_back(std::move(message));
    }
    ASSERT_TRUE(store_->append(messages));
    ASSERT_TRUE(store_->write_pages());
  }
  static void TearDownTestSuite() {
    store_.reset();
    directory_.reset();
  }
  void SetUp() override {
    options_.port = 0;
    options_.token = "token";
    options_.spool_directory = spool_.path();
    options_.spool_room_left = 0;
  }
  void start() {
    auto server = Server::start(options_, backend_, clock_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
    client_->set_bearer_token_auth("token");
  }
  std::string get(const std::string& path, int status) {
    const auto answer = client_->Get(path.c_str());
    EXPECT_TRUE(answer) << path;
    if (!answer) return "";
    EXPECT_EQ(answer->status, status) << path << ": " << answer->body.substr(0, 500);
    return answer->body;
  }
  std::string error(const std::string& path, int status) {
    const Json json = Json::parse(get(path, status), nullptr, false);
    return json.is_object() && json.contains("error") ? json["error"]["message"].get<std::string>() : "no error";
  }

  static std::unique_ptr<TemporaryDirectory> directory_;
  static std::unique_ptr<store::RocksStore> store_;
  TemporaryDirectory spool_;
  StoreBackend backend_{*store_};
  VirtualClock clock_{kStart + std::chrono::seconds(kTicks)};
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<httplib::Client> client_;
};

std::unique_ptr<TemporaryDirectory> Limits::directory_;
std::unique_ptr<store::RocksStore> Limits::store_;

TEST_F(Limits, AQueryThatTakesTooMuchIsRefusedBeforeAnythingIsSent) {
  options_.answer_bytes_max = 2 << 20;
  start();
  const std::string each_second = "/v1/query?kpi=memory_resident_bytes&from=-20m&step=1s";
  const std::string too_much =
      "this takes more than the 2 MiB of memory that one answer may: ask for fewer hosts, VMs or groups, longer steps "
      "or a shorter time";
  EXPECT_EQ(error(each_second + "&across=sum&by=vm", 400), too_much);
  EXPECT_EQ(error("/v1/query?kpi=memory_resident_bytes&from=-20m&step=500ms&top=60", 400), too_much);
  EXPECT_EQ(Json::parse(get(each_second, 200))["lines"].size(), std::size_t{kVms});
  EXPECT_EQ(Json::parse(get(each_second + "&top=5", 200))["lines"].size(), 5u);
  EXPECT_EQ(Json::parse(get(each_second + "&across=sum", 200))["lines"].size(), 1u);
  EXPECT_NE(error("/v1/query?kpi=run_queue_latency_ns&from=-20m&step=1s", 400).find("ask for 512 steps at most"),
            std::string::npos);
}

TEST_F(Limits, StalledExportsAreEndedAndKeepNobodyFromAsking) {
  options_.patience.nothing = 200ms;
  options_.answer_bytes_max = 64 << 20;
  start();
  const std::uint64_t before = resident_bytes();
  std::vector<std::unique_ptr<Staller>> stallers;
  for (int i = 0; i < 50; ++i) {
    stallers.push_back(std::make_unique<Staller>(server_->port(), "/v1/export?kpi=memory_resident_bytes"));
  }
  client_->set_read_timeout(10);
  for (int i = 0; i < 20; ++i) get("/v1/status", 200);
  EXPECT_LT(resident_bytes(), before + (static_cast<std::uint64_t>(options_.threads) + 1) * (64 << 20));
  const auto until = std::chrono::steady_clock::now() + 60s;
  for (const auto& staller : stallers) {
    EXPECT_TRUE(staller->is_ended(
        std::chrono::ceil<std::chrono::milliseconds>(std::max(0ns, until - std::chrono::steady_clock::now()))));
  }
  EXPECT_FALSE(get("/v1/export?kpi=memory_resident_bytes&from=-2s", 200).empty()) << "there are turns again";
}

TEST_F(Limits, ARecordingLeavesNothingBehind) {
  start();
  EXPECT_TRUE(get("/v1/record", 200).starts_with("PROTEUSR"));
  EXPECT_TRUE(std::filesystem::is_empty(spool_.path()));
}

// It said to have been recorded until then, and a time that is counted from its end was one without anything.
TEST_F(Limits, ARecordingEndsNoLaterThanNow) {
  start();
  const TemporaryDirectory directory;
  for (const char* path : {"/v1/record?to=2030-01-01T00:00:00Z", "/v1/record"}) {
    std::ofstream(directory / "run.rec", std::ios::binary) << get(path, 200);
    const auto read = replay::read_recording(directory / "run.rec", {});
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->to, clock_.now()) << path;
  }
}

TEST_F(Limits, ARecordingThatHasNoRoomIsRefused) {
  options_.spool_room_left = std::uint64_t{1} << 62;
  start();
  const std::string full = error("/v1/record", 503);
  EXPECT_EQ(full.find("the controller has no room in " + std::string(spool_.path()) + " after 0 MiB: "), 0u) << full;
  EXPECT_NE(full.find("ask for a shorter time or fewer hosts"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(spool_.path()));
}

TEST(Spool, WritesNoMoreThanThereIsRoomFor) {
  const TemporaryDirectory directory;
  const std::uint64_t free_bytes = std::filesystem::space(directory.path()).available;
  auto spool = Spool::open(directory.path(), free_bytes - std::min<std::uint64_t>(free_bytes, 64 << 20));
  ASSERT_TRUE(spool) << spool.error().message;
  const std::string piece(1 << 20, 'x');
  Status written;
  int pieces = 0;
  for (; pieces < 4096 && written; ++pieces) written = spool->write(piece);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kUnavailable);
  EXPECT_LT(spool->size(), 1u << 30);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  EXPECT_NE(Spool::open("/nonexistent", 0).error().message.find("if TMPDIR names one"), std::string::npos);
}

TEST_F(Limits, WhatMakesNoSenseIsOneClearError) {
  start();
  const std::string longest(1'025, 'a');
  struct Route {
    std::string path;
    std::vector<std::string> good;  // so that it is answered
    std::vector<std::string> once;
    std::vector<std::string> bad;
  };
  const std::vector<std::string> bad_times = {"from=",   "from=nan",  "from=inf",     "from=-1",      "from=1e300",
                                              "to=soon", "from=--5m", "from=-1e300d", "to=9e18",      "to=1e400",
                                              "to=-",    "from=%00",  "from=%ff",     "from=0&from=1"};
  const auto and_times = [&](std::vector<std::string> bad) {
    bad.insert(bad.end(), bad_times.begin(), bad_times.end());
    return bad;
  };
  const std::vector<Route> routes = {
      {"/v1/status", {}, {}, {"vm=a", "x=1"}},
      {"/v1/hosts", {}, {}, {"host=h1"}},
      {"/v1/vms", {}, {}, {"host=h1"}},
      {"/v1/vms/web/forecast", {}, {"resource"}, {"resource=luck", "resource=", "resource=cpu&resource=memory"}},
      {"/v1/accuracy", {}, {"vm"}, {"vm=", "vm=a&vm=b", "host=h1"}},
      {"/v1/learning", {}, {}, {"vm=a"}},
      {"/v1/plan", {}, {}, {"vm=a"}},
      {"/v1/decisions/1", {}, {}, {"vm=a"}},
      {"/v1/decisions/99999999999999999999", {}, {}, {""}},
      {"/v1/actions", {}, {}, {"vm=a"}},
      {"/v1/actions/1", {}, {}, {"vm=a"}},
      {"/v1/actions/18446744073709551616", {}, {}, {""}},
      {"/v1/history",
       {"limit=1"},
       {"limit", "all"},
       and_times({"limit=0", "limit=-1", "limit=1.5", "limit=nan", "limit=1e3", "limit=100001", "all=yes",
                  "all=", "kind=opinion", "kind=", "vm=", "host=", "limit=99999999999999999999", "limit=1&limit=2"})},
      {"/v1/record", {}, {}, and_times({"host=", "hosts=h1", "from=-5m&to=-10m"})},
      {"/v1/query",
       {"kpi=memory_resident_bytes"},
       {"kpi", "entity", "step", "fn", "across", "top"},
       and_times({"step=0",
                  "step=-1s",
                  "step=nan",
                  "step=inf",
                  "step=1e300",
                  "step=",
                  "step=1y",
                  "top=0",
                  "top=-1",
                  "top=1.5",
                  "top=nan",
                  "top=",
                  "top=99999999999999999999",
                  "q=nan",
                  "q=0.5",
                  "fn=",
                  "fn=median",
                  "across=all",
                  "by=",
                  "by=vm",
                  "label==",
                  "label=x",
                  "label=",
                  "entity=",
                  "host=",
                  "vm=",
                  "from=1&to=1",
                  "step=1ms&from=-30d",
                  "fn=rate",
                  "step=1m&step=2m"})},
      {"/v1/query", {"kpi=run_queue_latency_ns"}, {}, {"q=nan", "q=inf", "q=-0.1", "q=1.5", "q=", "q=0.5x"}},
      {"/v1/query", {}, {}, {"kpi=", "kpi=luck", "kpi=%00", "kpi=a&kpi=b"}},
      {"/v1/export",
       {"kpi=memory_resident_bytes"},
       {"entity", "format"},
       and_times(
           {"format=", "format=xml", "kpi=", "kpi=luck", "host=", "vm=", "label=x", "step=1m", "from=-1m&to=-2m"})},
  };
  int asked = 0;
  for (const Route& route : routes) {
    std::string start = route.path + "?";
    for (const std::string& good : route.good) start += good + "&";
    std::vector<std::string> bad = route.bad;
    for (const char* any : {"unknown=1", "vm=%00", "vm=a%0Ab", "vm=%ff%fe", "%ff=1", "host=%c3%28"})
      bad.emplace_back(any);
    bad.push_back("vm=" + longest);
    bad.push_back(longest + "=1");
    for (const std::string& name : route.once) bad.push_back(name + "=1&" + name + "=2");
    for (const std::string& parameter : bad) {
      const Json json = Json::parse(get(start + parameter, 400), nullptr, false);
      ASSERT_TRUE(json.is_object()) << start << parameter;
      EXPECT_EQ(json["error"]["code"], "invalid_argument") << start << parameter;
      EXPECT_FALSE(json["error"]["message"].get<std::string>().empty()) << start << parameter;
      ++asked;
    }
  }
  EXPECT_GT(asked, 200);
  get("/v1/status", 200);
}

TEST_F(Limits, OddPathsAndBodiesAreClearErrors) {
  start();
  for (const char* path : {"/v1/vms/%00/forecast", "/v1/vms/%ff/forecast", "/v1/%ff", "/v1/decisions/1%00"}) {
    EXPECT_EQ(error(path, 400), "the path is not text in UTF-8") << path;
  }
  for (const std::string& path : {std::string("/v1/decisions/-1"), std::string("/v1/decisions/nan"),
                                  "/v1/vms/" + std::string(7'000, 'a') + "/forecast", std::string("/v1/actions/"),
                                  "/v1/" + std::string(7'000, '/'), std::string("/")}) {
    EXPECT_NE(error(path, 404), "no error") << path.substr(0, 40);
  }
  const std::string deep = R"({"by": )" + std::string(30'000, '[') + std::string(30'000, ']') + "}";
  const std::vector<std::pair<std::string, std::string>> posts = {
      {"/v1/pause", "[]"},
      {"/v1/pause", "nan"},
      {"/v1/pause", "\xff"},
      {"/v1/pause", R"({"by": "\ud800"})"},
      {"/v1/pause", R"({"by": 1})"},
      {"/v1/pause", deep},
      {"/v1/resume?by=ann", "{}"},
      {"/v1/hosts/h1/maintenance", R"({"on": 1})"},
      {"/v1/hosts/h1/maintenance", R"({"on": null})"},
      {"/v1/hosts/%00/maintenance", R"({"on": true})"},
      {"/v1/hosts/%ff/maintenance", R"({"on": true})"},
      {"/v1/actions/99999999999999999999/approve", "{}"},
      {"/v1/actions/1/approve?x", "{}"},
      {"/v1/signals", deep},
      {"/v1/signals", R"({"name": "a", "value": 1e999})"},
      {"/v1/signals", R"({"name": "a", "value": 1, "lead_s": 1e300})"},
      {"/v1/signals", R"({"name": "a", "points": [{"time": -1e300, "value": 1}]})"},
  };
  for (const auto& [path, body] : posts) {
    const auto answer = client_->Post(path.c_str(), body, "application/json");
    ASSERT_TRUE(answer) << path << " " << body.substr(0, 80);
    EXPECT_EQ(answer->status, 400) << path << " " << body.substr(0, 80) << answer->body;
  }
  for (const char* encoding : {"gzip", "br", "identity"}) {
    const auto packed = client_->Post("/v1/pause", {{"Content-Encoding", encoding}}, "{}", "application/json");
    ASSERT_TRUE(packed);
    EXPECT_EQ(packed->status, 400) << packed->body;
  }
  // As curl -d sends it.
  const auto form = client_->Post("/v1/pause", R"({"by": "ann"})", "application/x-www-form-urlencoded");
  ASSERT_TRUE(form);
  EXPECT_EQ(form->status, 503) << "the backend's word";
}

}  // namespace
}  // namespace proteus::api
