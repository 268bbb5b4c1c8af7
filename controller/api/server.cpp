#include "controller/api/server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <httplib.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/log.h"
#include "common/wire/log_interval.h"
#include "controller/api/answer.h"
#include "controller/api/connections.h"
#include "controller/api/forecast_json.h"
#include "controller/api/history.h"
#include "controller/api/json_view.h"
#include "controller/api/learning_json.h"
#include "controller/api/series_query.h"
#include "controller/api/series_routes.h"
#include "controller/replay/recording.h"

namespace proteus::api {
namespace {

constexpr std::size_t kMaxBodyBytes = 64 * 1024;
/// Costly answers that wait for others to be over; some threads are left for what is not costly.
constexpr std::size_t kTurnsWaitingMax = kConnectionsMax / 2;
constexpr std::chrono::seconds kTurnWaitMax{30};

/// Takes as long for a wrong token as for the right one.
bool equal_in_constant_time(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

bool has_token(const httplib::Request& request, const std::string& token) {
  return equal_in_constant_time(request.get_header_value("Authorization"), "Bearer " + token);
}

Result<std::uint64_t> parse_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || rest != text.data() + text.size()) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is not a number", text)};
  }
  return number;
}

class HttpServer final : public Server {
 public:
  HttpServer(std::unique_ptr<httplib::Server> http, ServerOptions options, Backend& backend, const Clock& clock)
      : turns_(static_cast<std::size_t>(options.threads), kTurnsWaitingMax, kTurnWaitMax),
        http_(std::move(http)),
        options_(std::move(options)),
        backend_(backend),
        clock_(clock) {}
  ~HttpServer() override { stop(); }

  Status listen() {
    http_->set_tcp_nodelay(true);  // else each request waits for a delayed acknowledgement
    http_->set_payload_max_length(kMaxBodyBytes);
    http_->set_keep_alive_timeout(kIdleTimeMax.count());
    http_->set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (has_token(request, options_.token)) return httplib::Server::HandlerResponse::Unhandled;
      note_wrong_token(request);
      send(response, error_json({ErrorCode::kPermissionDenied, "missing or wrong token"}), 401);
      return httplib::Server::HandlerResponse::Handled;
    });
    http_->set_exception_handler([](const httplib::Request& request, httplib::Response& response, std::exception_ptr) {
      log::error("api: {} {} failed unexpectedly", request.method, request.path);
      send(response, Error{ErrorCode::kInternal, "unexpected failure, see the controller's log"});
    });
    http_->set_error_handler([](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty()) return;
      const int status = response.status;
      send(response,
           error_json({ErrorCode::kNotFound, fmt::format("{} {}: no such resource", request.method, request.path)}),
           status);
    });
    add_routes();
    port_ = options_.port == 0 ? http_->bind_to_any_port(options_.address.c_str())
                               : (http_->bind_to_port(options_.address.c_str(), options_.port) ? options_.port : -1);
    if (port_ < 0) {
      return Error{ErrorCode::kUnavailable,
                   fmt::format("cannot listen on {}:{} (in use, or not an address of this host)", options_.address,
                               options_.port)};
    }
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "api");
      http_->listen_after_bind();
    });
    while (!http_->is_running()) std::this_thread::yield();
    return {};
  }

  int port() const override { return port_; }

  void stop() override {
    if (!thread_.joinable()) return;
    turns_.stop();
    http_->stop();
    thread_.join();
  }

 private:
  using Request = httplib::Request;
  using Response = httplib::Response;

  void add_routes() {
    http_->Get("/v1/status", [this](const Request&, Response& out) { send(out, status_json(*backend_.snapshot())); });
    http_->Get("/v1/hosts", [this](const Request&, Response& out) { send(out, hosts_json(*backend_.snapshot())); });
    http_->Get("/v1/vms", [this](const Request&, Response& out) { send(out, vms_json(*backend_.snapshot())); });
    http_->Get(R"(/v1/vms/([^/]+)/forecast)", [this](const Request& in, Response& out) { get_forecast(in, out); });
    http_->Get("/v1/accuracy", [this](const Request& in, Response& out) { get_accuracy(in, out); });
    http_->Get("/v1/learning",
               [this](const Request&, Response& out) { send(out, learning_json(*backend_.snapshot())); });
    http_->Post("/v1/signals", [this](const Request& in, Response& out) { post_signal(in, out); });
    http_->Get("/v1/plan", [this](const Request&, Response& out) { get_plan(out); });
    http_->Get(R"(/v1/decisions/(\d+))", [this](const Request& in, Response& out) { get_decision(in, out); });
    http_->Get("/v1/actions", [this](const Request&, Response& out) { get_actions(out); });
    http_->Get(R"(/v1/actions/(\d+))", [this](const Request& in, Response& out) { get_action(in, out); });
    http_->Get("/v1/history", [this](const Request& in, Response& out) { get_history(in, out); });
    http_->Get("/v1/record", [this](const Request& in, Response& out) { get_record(in, out); });
    add_series_routes(*http_, backend_, clock_, turns_);
    http_->Post(R"(/v1/actions/(\d+)/(approve|reject))",
                [this](const Request& in, Response& out) { post_action(in, out); });
    http_->Post(R"(/v1/hosts/([^/]+)/maintenance)",
                [this](const Request& in, Response& out) { post_maintenance(in, out); });
    http_->Post(R"(/v1/(pause|resume))", [this](const Request& in, Response& out) { post_pause(in, out); });
  }

  void get_forecast(const Request& in, Response& out) {
    const std::string text = in.has_param("resource") ? in.get_param_value("resource") : "cpu";
    const Result<forecast::Resource> resource = parse_resource(text);
    if (!resource) return send(out, resource.error());
    const Result<SeriesOutlook> outlook = backend_.outlook(in.matches[1], *resource);
    if (!outlook) return send(out, outlook.error());
    send(out, to_json(*outlook));
  }

  void get_accuracy(const Request& in, Response& out) {
    const auto reports = backend_.accuracy(in.has_param("vm") ? in.get_param_value("vm") : "");
    if (!reports) return send(out, reports.error());
    send(out, accuracy_json(*reports, backend_.forecast_step()));
  }

  void post_signal(const Request& in, Response& out) {
    const Result<Json> json = body(in);
    if (!json) return send(out, json.error());
    const Result<SignalRequest> request = parse_signal(*json, clock_.now());
    if (!request) return send(out, request.error());
    const Status taken = backend_.push(request->push, request->vm, request->by);
    if (!taken) log::info("api: signal {} by {}: {}", request->push.name, request->by, taken.error().message);
    if (!taken) return send(out, taken.error());
    send(out, {{"ok", true}});
  }

  void get_plan(Response& out) {
    const auto snapshot = backend_.snapshot();
    Json open = Json::array();
    for (const drs::ActionRecord& action : snapshot->actions) {
      if (!drs::is_final(action.state)) open.push_back(to_json(action));
    }
    send(out, {{"paused", snapshot->paused},
               {"automation", ham::to_string(snapshot->automation)},
               {"decision", snapshot->decision ? to_json(*snapshot->decision) : Json(nullptr)},
               {"open_actions", open}});
  }

  /// The journalled decision with this number, or the one of the last cycle.
  Result<Json> find_decision(std::uint64_t id) {
    const auto snapshot = backend_.snapshot();
    if (snapshot->decision && snapshot->decision->id == id) return to_json(*snapshot->decision);
    const auto entries = backend_.store().journal_tail(kHistoryEntriesMax);
    if (!entries) return entries.error();
    for (const store::JournalEntry& entry : *entries) {
      const auto* decision = std::get_if<ham::Decision>(&entry.payload);
      if (decision != nullptr && decision->id == id) return to_json(*decision);
    }
    return Error{ErrorCode::kNotFound, fmt::format("no decision {} in the journal", id)};
  }

  Result<drs::ActionRecord> find_action(std::uint64_t id) {
    const auto snapshot = backend_.snapshot();
    for (const drs::ActionRecord& action : snapshot->actions) {
      if (action.action.id == id) return action;
    }
    const auto entries = backend_.store().journal_tail(kHistoryEntriesMax);
    if (!entries) return entries.error();
    std::vector<drs::Transition> transitions;
    for (const store::JournalEntry& entry : *entries) {  // newest first
      if (const auto* step = std::get_if<drs::Transition>(&entry.payload); step != nullptr && step->action == id) {
        transitions.insert(transitions.begin(), *step);
      }
      const auto* intent = std::get_if<drs::ActionRecord>(&entry.payload);
      if (intent == nullptr || intent->action.id != id) continue;
      drs::ActionRecord record = *intent;
      for (drs::Transition& step : transitions) {
        if (const Status folded = drs::apply(record, std::move(step)); !folded) return folded.error();
      }
      return record;
    }
    return Error{ErrorCode::kNotFound, fmt::format("no action {} in the journal", id)};
  }

  void get_decision(const Request& in, Response& out) {
    const Result<std::uint64_t> id = parse_number(in.matches[1]);
    if (!id) return send(out, id.error());
    Result<Json> decision = find_decision(*id);
    if (!decision) return send(out, decision.error());
    Json actions = Json::array();
    const auto snapshot = backend_.snapshot();  // kept: the next cycle replaces it
    for (const drs::ActionRecord& action : snapshot->actions) {
      if (action.decision == *id) actions.push_back(to_json(action));
    }
    (*decision)["action_records"] = std::move(actions);
    send(out, *decision);
  }

  void get_actions(Response& out) {
    Json actions = Json::array();
    const auto snapshot = backend_.snapshot();  // kept: the next cycle replaces it
    for (const drs::ActionRecord& action : snapshot->actions) actions.push_back(to_json(action));
    send(out, actions);
  }

  void get_action(const Request& in, Response& out) {
    const Result<std::uint64_t> id = parse_number(in.matches[1]);
    if (!id) return send(out, id.error());
    const Result<drs::ActionRecord> action = find_action(*id);
    if (!action) return send(out, action.error());
    Json json = to_json(*action);
    const Result<Json> decision = find_decision(action->decision);
    json["explanation"] = decision ? *decision : Json(nullptr);
    send(out, json);
  }

  void get_history(const Request& in, Response& out) {
    const Status good = check_parameters(in, {"limit", "all", "from", "to"}, {"vm", "host", "kind"});
    if (!good) return send(out, good.error());
    const auto snapshot = backend_.snapshot();  // kept: the next cycle replaces it
    const Result<HistoryFilter> filter = parse_history(parameters_of(in), *snapshot, clock_.now());
    if (!filter) return send(out, filter.error());
    const std::shared_ptr<void> turn = turns_.take();
    if (turn == nullptr) return send(out, kTooManyAnswers);
    const auto entries = read_history(backend_.store(), *filter, snapshot->actions);
    if (!entries) return send(out, entries.error());
    Json history = Json::array();
    for (const store::JournalEntry& entry : *entries) history.push_back(to_json(entry));
    send(out, history);
  }

  void get_record(const Request& in, Response& out) {
    const Timestamp now = clock_.now();
    replay::RecordOptions options;
    options.to = now;
    for (const char* name : {"from", "to"}) {
      if (!in.has_param(name)) continue;
      const Result<Timestamp> time = parse_time(in.get_param_value(name), now);
      if (!time) return send(out, time.error());
      (std::string_view(name) == "from" ? options.from : options.to) = *time;
    }
    if (const Status known = check_parameters(in, {"from", "to"}, {"host"}); !known) return send(out, known.error());
    if (in.has_param("from") && options.from >= now) {
      return send(out, Error{ErrorCode::kInvalidArgument, fmt::format("from {} lies ahead", to_rfc3339(options.from))});
    }
    if (const Status good = check_range(options.from, options.to); !good) return send(out, good.error());
    for (std::size_t i = 0; i < in.get_param_value_count("host"); ++i) {
      options.hosts.emplace_back(in.get_param_value("host", i));
    }
    if (const store::SeriesReader* series = backend_.store().series()) {
      if (const Status stored = series->check_names(options.hosts, {}); !stored) return send(out, stored.error());
    }
    const std::shared_ptr<void> turn = turns_.take();
    if (turn == nullptr) return send(out, kTooManyAnswers);
    // Cut into a private folder first: a failure half-way is then an error message, not half a file.
    std::string folder = (std::filesystem::temp_directory_path() / "proteus-record-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) {
      return send(out, Error{ErrorCode::kUnavailable, fmt::format("no temporary folder: {}", std::strerror(errno))});
    }
    const std::string path = folder + "/recording";
    const Result<replay::RecordingSummary> written = replay::write_recording(backend_.store(), options, path);
    auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
    std::error_code ignored;
    const std::uint64_t size = std::filesystem::file_size(path, ignored);
    std::filesystem::remove_all(folder, ignored);  // the open stream keeps the file until it is sent
    if (!written) return send(out, written.error());
    if (written->missing_until) {
      out.set_header(kWarningHeader,
                     fmt::format("the controller began so long ago that telemetry which it had taken in until {} has "
                                 "expired: a replay may decide otherwise until then, and for some time after",
                                 to_rfc3339(*written->missing_until)));
    }
    out.set_content_provider(size, "application/vnd.proteus.recording",
                             [file, turn](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
                               std::array<char, 65536> block;
                               file->seekg(static_cast<std::streamoff>(offset));
                               file->read(block.data(), static_cast<std::streamsize>(std::min(length, block.size())));
                               return file->gcount() > 0 &&
                                      sink.write(block.data(), static_cast<std::size_t>(file->gcount()));
                             });
  }

  /// The JSON object in the body, {} if there is none.
  static Result<Json> body(const Request& in) {
    if (in.body.empty()) return Json::object();
    Json json = Json::parse(in.body, nullptr, false);
    if (!json.is_object()) return Error{ErrorCode::kInvalidArgument, "the body is not a JSON object"};
    return json;
  }

  void submit(const Request& in, Response& out, store::OperatorInput input) {
    const Result<Json> json = body(in);
    if (!json) return send(out, json.error());
    input.by = "api";
    if (json->contains("by")) {
      if (!(*json)["by"].is_string()) return send(out, Error{ErrorCode::kInvalidArgument, "'by' must be a string"});
      input.by = (*json)["by"].get<std::string>().substr(0, 256);
    }
    const Status taken = backend_.submit(input);
    log::info("api: {} {} by {}: {}", in.method, in.path, input.by, taken ? "done" : taken.error().message);
    if (!taken) return send(out, taken.error());
    send(out, {{"ok", true}});
  }

  void post_action(const Request& in, Response& out) {
    const Result<std::uint64_t> id = parse_number(in.matches[1]);
    if (!id) return send(out, id.error());
    store::OperatorInput input;
    input.kind =
        in.matches[2] == "approve" ? store::OperatorInput::Kind::kApprove : store::OperatorInput::Kind::kReject;
    input.action = *id;
    submit(in, out, std::move(input));
  }

  void post_maintenance(const Request& in, Response& out) {
    const Result<Json> json = body(in);
    if (!json) return send(out, json.error());
    if (!json->contains("on") || !(*json)["on"].is_boolean()) {
      return send(out, Error{ErrorCode::kInvalidArgument, "the body must say {\"on\": true} or {\"on\": false}"});
    }
    store::OperatorInput input;
    input.kind = (*json)["on"].get<bool>() ? store::OperatorInput::Kind::kMaintenanceOn
                                           : store::OperatorInput::Kind::kMaintenanceOff;
    input.host = HostId(in.matches[1]);
    submit(in, out, std::move(input));
  }

  void post_pause(const Request& in, Response& out) {
    store::OperatorInput input;
    input.kind = in.matches[1] == "pause" ? store::OperatorInput::Kind::kPause : store::OperatorInput::Kind::kResume;
    submit(in, out, std::move(input));
  }

  void note_wrong_token(const httplib::Request& request) {
    const std::lock_guard lock(wrong_tokens_mutex_);
    ++wrong_tokens_count_;
    if (!wrong_tokens_.is_due(request.remote_addr)) return;
    log::warning("api: {} {} from {} refused, missing or wrong token ({} such requests so far)", request.method,
                 request.path, request.remote_addr, wrong_tokens_count_);
  }

  Turns turns_;  // answers that are under way hold some of them
  std::unique_ptr<httplib::Server> http_;
  std::mutex wrong_tokens_mutex_;  // guards the next two
  wire::LogInterval wrong_tokens_{std::chrono::seconds(30)};
  std::uint64_t wrong_tokens_count_ = 0;
  ServerOptions options_;
  Backend& backend_;
  const Clock& clock_;
  int port_ = -1;
  std::thread thread_;
};

}  // namespace

bool is_loopback(const std::string& address) {
  return address == "localhost" || address == "::1" || address.starts_with("127.");
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Backend& backend, const Clock& clock) {
  if (options.token.empty()) return Error{ErrorCode::kInvalidArgument, "the API needs a token"};
  const bool tls = !options.tls_certificate.empty() && !options.tls_key.empty();
  if (!tls && !is_loopback(options.address)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the API listens on {}, which is not a loopback address: set tls_certificate and tls_key",
                             options.address)};
  }
  const auto knows = [token = options.token](const httplib::Request& request) { return has_token(request, token); };
  auto http =
      make_guarded_server(tls ? options.tls_certificate : std::string(), tls ? options.tls_key : std::string(), knows);
  if (!http->is_valid()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("cannot use {} and {} for TLS", options.tls_certificate, options.tls_key)};
  }
  auto server = std::make_unique<HttpServer>(std::move(http), std::move(options), backend, clock);
  if (Status listening = server->listen(); !listening) return listening.error();
  return std::unique_ptr<Server>(std::move(server));
}

Result<std::string> load_or_create_token(const std::string& path) {
  std::error_code unreadable;
  const bool exists = std::filesystem::exists(path, unreadable);
  if (!exists && !unreadable) {
    std::array<unsigned char, 32> bytes{};
    if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
      return Error{ErrorCode::kInternal, "no random bytes"};
    }
    std::string token;
    for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
    // Beside it first: a token file that is there is whole, whatever happens in between.
    const std::string beside = path + ".new";
    const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0) {
      return Error{ErrorCode::kPermissionDenied, fmt::format("cannot create {}: {}", beside, std::strerror(errno))};
    }
    const std::string line = token + "\n";
    const bool written = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fsync(fd) == 0;
    const int failure = errno;
    close(fd);
    if (!written || std::rename(beside.c_str(), path.c_str()) != 0) {
      const int why = written ? errno : failure;
      unlink(beside.c_str());
      return Error{ErrorCode::kUnavailable, fmt::format("cannot write {}: {}", path, std::strerror(why))};
    }
    return token;
  }
  std::ifstream file(path);
  std::string token;
  if (!file) {
    return Error{ErrorCode::kPermissionDenied,
                 fmt::format("cannot read the API token in {}: {}", path, std::strerror(errno))};
  }
  std::getline(file, token);
  if (token.size() < 32 || token.size() > 128) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("{} must hold one line of 32 to 128 characters", path)};
  }
  return token;
}

}  // namespace proteus::api
