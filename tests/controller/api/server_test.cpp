#include "controller/api/server.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "controller/api/connections.h"
#include "controller/api/history.h"
#include "controller/api/json_view.h"
#include "tests/controller/api/certificate.h"
#include "tests/fakes/memory_store.h"
#include "tests/temporary_directory.h"

namespace proteus::api {
namespace {

/// Remembers what people said, holds one journalled action.
class FakeBackend final : public Backend {
 public:
  FakeBackend() {
    drs::ActionRecord record;
    record.action.id = 7;
    record.decision = 3;
    drs::Transition step;
    step.action = 7;
    step.to = drs::ActionState::kSent;
    std::vector<store::JournalEntry> entries{{0, {}, record}, {0, {}, step}};
    static_cast<void>(store_.append(entries));  // memory does not fail
  }
  std::shared_ptr<const Snapshot> snapshot() const override {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->controller = "test";
    snapshot->paused = paused;
    snapshot->actions = actions;
    return snapshot;
  }
  Status submit(const store::OperatorInput& input) override {
    if (input.kind == store::OperatorInput::Kind::kApprove && input.action != 1)
      return Error{ErrorCode::kNotFound, "no action"};
    inputs.push_back(input);
    return {};
  }
  Result<SeriesOutlook> outlook(const std::string& vm, forecast::Resource resource) override {
    if (vm != "web 1") return Error{ErrorCode::kNotFound, "no VM '" + vm + "'"};
    SeriesOutlook outlook;
    outlook.vm_name = vm;
    outlook.resource = resource;
    return outlook;
  }
  Status push(const forecast::SignalPush& push, const std::string& vm, const std::string& by) override {
    if (Status good = forecast::check(push, push.points.empty() ? Timestamp{} : push.points[0].time); !good)
      return good;
    if (!vm.empty() && vm != "web 1") return Error{ErrorCode::kNotFound, "no VM '" + vm + "'"};
    pushes.push_back(push);
    pushed_by = by;
    return {};
  }
  Nanoseconds forecast_step() const override { return std::chrono::minutes(1); }
  Result<std::vector<AccuracyReport>> accuracy(const std::string& vm) override {
    if (!vm.empty() && vm != "web 1") return Error{ErrorCode::kNotFound, "no VM '" + vm + "'"};
    AccuracyReport report;
    report.vm_name = "web 1";
    report.accuracy.scale = 2;
    forecast::Accuracy model;
    model.model = "naive";
    model.chosen = true;
    model.leads = {
        {.steps = 30, .pinball_loss = 0.25, .mase = 1.5, .coverage = {0.1, 0.5, 0.9, 0.95, 0.99}, .scored = 7}};
    report.accuracy.models = {model};
    return std::vector{report};
  }
  const store::Store& store() const override { return store_; }
  void journal(std::vector<store::JournalEntry> entries) {
    static_cast<void>(store_.append(entries));  // memory does not fail
  }

  bool paused = false;
  std::vector<store::OperatorInput> inputs;
  std::vector<drs::ActionRecord> actions;  ///< of each snapshot
  std::vector<forecast::SignalPush> pushes;
  std::string pushed_by;

 private:
  MemoryStore store_;
};

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    ServerOptions options;
    options.port = 0;
    options.token = token_;
    auto server = Server::start(options, backend_, clock_);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
    client_->set_bearer_token_auth(token_.c_str());
  }
  Json get(const std::string& path, int status) {
    const auto answer = client_->Get(path.c_str());
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer->status, status) << path << ": " << answer->body;
    return Json::parse(answer->body);
  }
  Json post(const std::string& path, const std::string& body, int status) {
    const auto answer = client_->Post(path.c_str(), body, "application/json");
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer->status, status) << path << ": " << answer->body;
    return Json::parse(answer->body);
  }

  const std::string token_ = "0123456789abcdef0123456789abcdef";
  FakeBackend backend_;
  SystemClock clock_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<httplib::Client> client_;
};

// The snapshot that was being read ended with the next cycle, and the controller with it.
TEST_F(ServerTest, ActionsOutliveTheSnapshotThatIsReplaced) {
  for (int i = 1; i <= 50; ++i) {
    drs::ActionRecord& record = backend_.actions.emplace_back();
    record.action.id = static_cast<ActionId>(i);
    record.action.reason = "a reason that is too long for a short string's own room";
    record.decision = 3;
  }
  const Json actions = get("/v1/actions", 200);
  ASSERT_EQ(actions.size(), 50u);
  EXPECT_EQ(actions.back()["id"], 50);
  EXPECT_EQ(actions.back()["reason"], backend_.actions.back().action.reason);
}

TEST_F(ServerTest, NothingWithoutTheToken) {
  httplib::Client stranger("127.0.0.1", server_->port());
  for (const char* path : {"/v1/status", "/v1/hosts", "/nothing"}) EXPECT_EQ(stranger.Get(path)->status, 401) << path;
  EXPECT_EQ(stranger.Post("/v1/pause", "{}", "application/json")->status, 401);
  stranger.set_bearer_token_auth("0123456789abcdef0123456789abcdee");
  EXPECT_EQ(stranger.Get("/v1/status")->status, 401);
  EXPECT_TRUE(backend_.inputs.empty());
}

TEST_F(ServerTest, AnswersBeforeTheFirstCycle) {
  EXPECT_EQ(get("/v1/status", 200)["controller"], "test");
  EXPECT_TRUE(get("/v1/hosts", 200).empty());
  EXPECT_TRUE(get("/v1/vms", 200).empty());
  EXPECT_TRUE(get("/v1/plan", 200)["decision"].is_null());
  EXPECT_TRUE(get("/v1/actions", 200).empty());
}

TEST_F(ServerTest, SaysWhatIsWrong) {
  EXPECT_EQ(get("/v1/nothing", 404)["error"]["code"], "not_found");
  EXPECT_EQ(get("/v1/vms/other/forecast", 404)["error"]["message"], "no VM 'other'");
  EXPECT_EQ(get("/v1/vms/web%201/forecast?resource=luck", 400)["error"]["code"], "invalid_argument");
  EXPECT_EQ(get("/v1/vms/web%201/forecast?resource=network", 200)["unit"], "bytes/s");
  EXPECT_EQ(get("/v1/decisions/12", 404)["error"]["code"], "not_found");
  EXPECT_EQ(get("/v1/history?limit=none", 400)["error"]["code"], "invalid_argument");
  EXPECT_EQ(get("/v1/history?hots=h1", 400)["error"]["message"], "'hots' is no parameter of /v1/history");
  EXPECT_EQ(post("/v1/hosts/h1/maintenance", "{}", 400)["error"]["code"], "invalid_argument");
  EXPECT_EQ(post("/v1/pause", "not json", 400)["error"]["code"], "invalid_argument");
  EXPECT_EQ(post("/v1/actions/2/approve", "{}", 404)["error"]["code"], "not_found");
  EXPECT_TRUE(backend_.inputs.empty());
}

TEST_F(ServerTest, TakesAPersonsWordWithItsName) {
  post("/v1/actions/1/approve", R"({"by": "ann"})", 200);
  post("/v1/hosts/h1/maintenance", R"({"on": true, "by": "bob"})", 200);
  post("/v1/pause", "", 200);
  ASSERT_EQ(backend_.inputs.size(), 3u);
  EXPECT_EQ(backend_.inputs[0].by, "ann");
  EXPECT_EQ(backend_.inputs[1].host, HostId("h1"));
  EXPECT_EQ(backend_.inputs[1].kind, store::OperatorInput::Kind::kMaintenanceOn);
  EXPECT_EQ(backend_.inputs[2].kind, store::OperatorInput::Kind::kPause);
}

TEST_F(ServerTest, TakesSignals) {
  post("/v1/signals", R"({"name": "orders", "vm": "web 1", "lead_s": 300, "by": "shop", "points": [
       {"time": "2026-01-31T08:15:30Z", "value": 12.5}, {"time": 1769847331, "value": 13}]})",
       200);
  ASSERT_EQ(backend_.pushes.size(), 1u);
  const forecast::SignalPush& push = backend_.pushes[0];
  EXPECT_EQ(push.name, "orders");
  EXPECT_EQ(push.lead, std::chrono::minutes(5));
  ASSERT_EQ(push.points.size(), 2u);
  EXPECT_EQ(push.points[1].time - push.points[0].time, std::chrono::seconds(1));
  EXPECT_EQ(push.points[0].value, 12.5);
  EXPECT_EQ(backend_.pushed_by, "shop");
  post("/v1/signals", R"({"name": "visitors", "value": 3})", 200);
  EXPECT_EQ(backend_.pushes.size(), 2u);
}

TEST_F(ServerTest, RefusesSignalsThatAreNone) {
  for (const char* body :
       {R"({"value": 1})", R"({"name": "a b", "value": 1})", R"({"name": "a"})", R"({"name": "a", "value": "1"})",
        R"({"name": "a", "value": 1, "points": []})", R"({"name": "a", "points": []})",
        R"({"name": "a", "points": [{"time": "soon", "value": 1}]})", R"({"name": "a", "value": 1, "lead_s": -1})",
        R"({"name": "a", "value": 1e300})", R"({"name": "a", "value": 1, "sort": "x"})", "[]"}) {
    EXPECT_EQ(post("/v1/signals", body, 400)["error"]["code"], "invalid_argument") << body;
  }
  EXPECT_EQ(post("/v1/signals", R"({"name": "a", "value": 1, "vm": "other"})", 404)["error"]["code"], "not_found");
  std::string many = R"({"name": "a", "points": [)";
  for (int i = 0; i < 501; ++i) many += std::string(i > 0 ? "," : "") + R"({"value": 1})";
  EXPECT_EQ(post("/v1/signals", many + "]}", 400)["error"]["message"], "a push must hold 1 to 500 points");
  EXPECT_TRUE(backend_.pushes.empty());
}

TEST_F(ServerTest, SaysHowForecastsHaveTurnedOut) {
  for (const char* path : {"/v1/accuracy", "/v1/accuracy?vm=web%201"}) {
    const Json series = get(path, 200);
    ASSERT_EQ(series.size(), 1u);
    EXPECT_EQ(series[0]["name"], "web 1");
    const Json& lead = series[0]["models"][0]["leads"][0];
    EXPECT_EQ(lead["lead_s"], 1800);
    EXPECT_EQ(lead["mase"], 1.5);
    EXPECT_EQ(lead["coverage"]["p95"], 0.95);
  }
  EXPECT_EQ(get("/v1/accuracy?vm=other", 404)["error"]["code"], "not_found");
}

TEST_F(ServerTest, FindsAnEndedActionInTheJournal) {
  const Json action = get("/v1/actions/7", 200);
  EXPECT_EQ(action["state"], "sent");
  EXPECT_EQ(action["transitions"].size(), 1u);
  EXPECT_TRUE(action["explanation"].is_null());
}

/// So many entries that a history looks at nothing older.
std::vector<store::JournalEntry> all_that_a_history_looks_at() {
  return std::vector<store::JournalEntry>(kHistoryEntriesMax, {0, {}, store::Cycle{}});
}

// It was not found when it was older than the newest 100,000 entries, which is a day of cycles.
TEST_F(ServerTest, FindsADecisionThatIsOlderThanAllThatAHistoryLooksAt) {
  ham::Decision decision;
  decision.id = 3;
  decision.summary = "web moves";
  backend_.journal({{0, {}, decision}});
  backend_.journal(all_that_a_history_looks_at());
  EXPECT_TRUE(get("/v1/history?kind=decision", 200).empty());
  EXPECT_EQ(get("/v1/decisions/3", 200)["summary"], "web moves");
  EXPECT_EQ(get("/v1/decisions/2", 404)["error"]["message"], "no decision 2 in the journal");
}

TEST_F(ServerTest, FindsAnActionThatIsOlderThanAllThatAHistoryLooksAt) {
  backend_.journal(all_that_a_history_looks_at());
  Json action = get("/v1/actions/7", 200);
  EXPECT_EQ(action["state"], "sent");
  EXPECT_EQ(action["transitions"].size(), 1u);
  EXPECT_EQ(get("/v1/actions/6", 404)["error"]["message"], "no action 6 in the journal");
}

TEST_F(ServerTest, RefusesALargeBodyAndSaysThatItIs) {
  Json error = post("/v1/pause", std::string(100'000, ' '), 413)["error"];
  EXPECT_EQ(error["code"], "invalid_argument");
  EXPECT_EQ(error["message"], "the body is longer than 64 KiB, or a form of more than 8 KiB");
}

TEST_F(ServerTest, TakesABodyOf64KiBAndNoByteMore) {
  std::string body = R"({"by": "ann"})";
  body.resize(64 * 1024, ' ');
  post("/v1/pause", body, 200);
  EXPECT_EQ(backend_.inputs.size(), 1u);
  post("/v1/pause", body + " ", 413);
  const auto in_chunks = client_->Post(
      "/v1/pause",
      [&](std::size_t, httplib::DataSink& sink) {
        sink.write(body.data(), body.size());
        sink.write(" ", 1);
        sink.done();
        return true;
      },
      "application/json");
  ASSERT_TRUE(in_chunks);
  EXPECT_EQ(in_chunks->status, 400) << in_chunks->body;
  EXPECT_EQ(backend_.inputs.size(), 1u);
}

/// A connection of someone who has no token, or who takes his time.
class Stranger {
 public:
  explicit Stranger(int port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Stranger() { ::close(socket_); }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  bool connected() const { return connected_; }
  /// False once the server has ended the connection.
  bool say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  /// All that comes until the server ends the connection.
  std::string hear() {
    std::string heard;
    std::array<char, 4096> piece;
    for (ssize_t n = 0; (n = ::recv(socket_, piece.data(), piece.size(), 0)) > 0;) {
      heard.append(piece.data(), static_cast<std::size_t>(n));
    }
    return heard;
  }

 private:
  int socket_ = -1;
  bool connected_ = false;
};

TEST_F(ServerTest, AnswersWhileStrangersHoldConnections) {
  std::vector<std::unique_ptr<Stranger>> strangers;
  for (int i = 0; i < 200; ++i) {
    strangers.push_back(std::make_unique<Stranger>(server_->port()));
    ASSERT_TRUE(strangers.back()->connected());
    if (i % 2 == 0) static_cast<void>(strangers.back()->say("GET /v1/status HTTP/1.1\r\nX: "));
  }
  client_->set_read_timeout(5);  // the first of them would be waited for in vain for longer
  const auto answer = client_->Get("/v1/status");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
}

TEST_F(ServerTest, EndsARequestWithoutEnd) {
  const std::string piece(64 * 1024, 'a');
  std::string headers;
  for (int i = 0; i < 1000; ++i) headers += "a: " + std::string(60, 'b') + "\r\n";
  for (const std::string& endless : {piece, headers}) {
    Stranger stranger(server_->port());
    ASSERT_TRUE(stranger.say("GET /v1/status HTTP/1.1\r\nX: "));
    int pieces = 0;
    while (pieces < 1000 && stranger.say(endless)) ++pieces;
    EXPECT_LT(pieces, 300);  // the kernel takes some megabytes
  }
}

TEST_F(ServerTest, TakesNoLargeBodyInChunks) {
  Stranger person(server_->port());
  ASSERT_TRUE(person.say("POST /v1/pause HTTP/1.1\r\nAuthorization: Bearer " + token_ +
                         "\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
  int chunks = 0;
  while (chunks < 1000 && person.say(chunk)) ++chunks;
  EXPECT_LT(chunks, 300);
  EXPECT_TRUE(backend_.inputs.empty());
}

TEST_F(ServerTest, SendsNothingInRanges) {
  std::string ranges = "bytes=0-99";
  for (int i = 0; i < 500; ++i) ranges += ",0-99";
  const std::size_t whole = client_->Get("/v1/status")->body.size();
  const auto answer = client_->Get("/v1/status", {{"Range", ranges}});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body.size(), whole);
}

TEST_F(ServerTest, AnswersAStrangerOnce) {
  Stranger stranger(server_->port());
  const std::string request = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_TRUE(stranger.say(request + request));
  const std::string heard = stranger.hear();
  EXPECT_EQ(heard.find("HTTP/1.1 401"), 0U) << heard;
  EXPECT_EQ(heard.rfind("HTTP/1.1 401"), 0U) << heard;
}

TEST(Turns, AreGivenToSoManyAtATime) {
  Turns turns(2, 1, std::chrono::milliseconds(20));
  std::shared_ptr<void> first = turns.take();
  const std::shared_ptr<void> second = turns.take();
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(turns.take(), nullptr);  // after waiting
  first.reset();
  EXPECT_NE(turns.take(), nullptr);
  Turns none(0, 0, std::chrono::hours(1));
  EXPECT_EQ(none.take(), nullptr);  // at once
}

TEST(Server, RefusesToListenOpenly) {
  FakeBackend backend;
  SystemClock clock;
  ServerOptions options;
  options.token = "x";
  options.address = "0.0.0.0";
  EXPECT_EQ(Server::start(options, backend, clock).error().code, ErrorCode::kInvalidArgument);
  options.address = "127.0.0.1";
  options.token = "";
  EXPECT_EQ(Server::start(options, backend, clock).error().code, ErrorCode::kInvalidArgument);
}

/// Whether a certificate and a key can be used: what `proteus-controller --check-config` says of them.
class TlsFiles : public testing::Test {
 protected:
  void SetUp() override {
    make_certificate(directory_ / "own.crt", directory_ / "own.key");
    make_certificate(directory_ / "other.crt", directory_ / "other.key");
    std::ofstream(directory_ / "words") << "neither a certificate nor a key\n";
    std::ofstream(directory_ / "empty");
  }
  Status check(const std::string& certificate, const std::string& key) const {
    ServerOptions options;
    options.tls_certificate = certificate.empty() ? "" : directory_ / certificate;
    options.tls_key = key.empty() ? "" : directory_ / key;
    return check_tls(options);
  }
  void expect_refused(const std::string& certificate, const std::string& key) const {
    const Status checked = check(certificate, key);
    ASSERT_FALSE(checked) << certificate << ", " << key;
    EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(checked.error().message, "cannot use " + directory_ / certificate + " and " + directory_ / key +
                                           " for TLS: not there, not to be read, or not a certificate and its key");
  }

  TemporaryDirectory directory_;
};

TEST_F(TlsFiles, AreGoodIfTheyAreACertificateAndItsKeyOrNoneAreNamed) {
  EXPECT_TRUE(check("own.crt", "own.key"));
  EXPECT_TRUE(check("other.crt", "other.key"));
  EXPECT_TRUE(check("", ""));
}

TEST_F(TlsFiles, ThatAreMissingAreRefused) {
  expect_refused("none.crt", "own.key");
  expect_refused("own.crt", "none.key");
  for (const Status& half : {check("own.crt", ""), check("", "own.key")}) {
    ASSERT_FALSE(half);
    EXPECT_EQ(half.error().message, "TLS takes a certificate and its key: set tls_certificate and tls_key");
  }
}

TEST_F(TlsFiles, ThatAreNoCertificateOrNoKeyAreRefused) {
  for (const char* file : {"words", "empty", "own.key"}) expect_refused(file, "own.key");
  for (const char* file : {"words", "empty", "own.crt"}) expect_refused("own.crt", file);
  expect_refused("own.key", "own.crt");
}

TEST_F(TlsFiles, OfWhichTheKeyIsAnotherCertificatesAreRefused) {
  expect_refused("own.crt", "other.key");
  expect_refused("other.crt", "own.key");
  make_certificate(directory_ / "rsa.crt", directory_ / "rsa.key", EVP_RSA_gen(2048));
  EXPECT_TRUE(check("rsa.crt", "rsa.key"));
  expect_refused("own.crt", "rsa.key");
  expect_refused("rsa.crt", "own.key");
}

TEST_F(TlsFiles, ThatCannotBeUsedKeepAServerFromStarting) {
  FakeBackend backend;
  SystemClock clock;
  ServerOptions options;
  options.port = 0;
  options.token = "x";
  options.tls_certificate = directory_ / "own.crt";
  options.tls_key = directory_ / "other.key";
  const auto refused = Server::start(options, backend, clock);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  options.tls_key = directory_ / "own.key";
  const auto started = Server::start(options, backend, clock);
  EXPECT_TRUE(started) << started.error().message;
}

TEST(Token, IsMadeOnceAndNotReadableByOthers) {
  const std::string path = testing::TempDir() + "/proteus-token-" + std::to_string(getpid());
  std::filesystem::remove(path);
  const Result<std::string> made = load_or_create_token(path);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->size(), 64u);
  EXPECT_EQ(*load_or_create_token(path), *made);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0007, 0u);
  std::filesystem::remove(path);
  EXPECT_FALSE(load_or_create_token("/nonexistent/folder/token"));
}

}  // namespace
}  // namespace proteus::api
