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
#include <functional>
#include <limits>
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
#include "controller/api/record_route.h"
#include "controller/api/series_query.h"
#include "controller/api/series_routes.h"

namespace proteus::api {
namespace {

constexpr std::size_t kMaxBodyBytes = 64 * 1024;
constexpr const char* kLongBody = "the body is longer than 64 KiB, or a form of more than 8 KiB";
/// Costly answers that wait for others to be over; some threads are left for what is not costly.
constexpr std::size_t kTurnsWaitingMax = kConnectionsMax / 2;
constexpr std::chrono::seconds kTurnWaitMax{30};
constexpr std::size_t kQuickAtOnce = 8;
constexpr std::size_t kLookUpEvery = 1024;  // entries: whether the client is still there
constexpr std::size_t kPieceBytes = 64 * 1024;

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
        quick_turns_(kQuickAtOnce, kTurnsWaitingMax, kTurnWaitMax),
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
      if (!has_token(request, options_.token)) {
        note_wrong_token(request);
        send(response, error_json({ErrorCode::kPermissionDenied, "missing or wrong token"}), 401);
        return httplib::Server::HandlerResponse::Handled;
      }
      const Status good = check_text(request);
      if (good) return httplib::Server::HandlerResponse::Unhandled;
      send(response, good.error());
      return httplib::Server::HandlerResponse::Handled;
    });
    http_->set_exception_handler([](const httplib::Request& request, httplib::Response& response, std::exception_ptr) {
      log::error("api: {} {} failed unexpectedly", request.method, request.path);
      send(response, Error{ErrorCode::kInternal, "unexpected failure, see the controller's log"});
    });
    http_->set_error_handler([](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty()) return;
      const int status = response.status;
      if (status == 413) {
        send(response, error_json({ErrorCode::kInvalidArgument, kLongBody}), status);
        return;
      }
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
    quick_turns_.stop();
    http_->stop();
    thread_.join();
  }

 private:
  using Request = httplib::Request;
  using Response = httplib::Response;

  using Handler = std::function<void(const Request&, Response&)>;

  void add_routes() {
    get("/v1/status", [this](const Request&, Response& out) { send(out, status_json(*backend_.snapshot())); });
    get("/v1/hosts", [this](const Request&, Response& out) {
      send_in_turn(out, [this] { return hosts_json(*backend_.snapshot()); });
    });
    get("/v1/vms", [this](const Request&, Response& out) {
      send_in_turn(out, [this] { return vms_json(*backend_.snapshot()); });
    });
    http_->Get(R"(/v1/vms/([^/]+)/forecast)", [this](const Request& in, Response& out) { get_forecast(in, out); });
    http_->Get("/v1/accuracy", [this](const Request& in, Response& out) { get_accuracy(in, out); });
    get("/v1/learning", [this](const Request&, Response& out) {
      send_in_turn(out, [this] { return learning_json(*backend_.snapshot()); });
    });
    post("/v1/signals", [this](const Request& in, Response& out) { post_signal(in, out); });
    get("/v1/plan", [this](const Request&, Response& out) { send_in_turn(out, [this] { return plan(); }); });
    get(R"(/v1/decisions/(\d+))", [this](const Request& in, Response& out) { get_decision(in, out); });
    get("/v1/actions", [this](const Request&, Response& out) { send_in_turn(out, [this] { return actions(); }); });
    get(R"(/v1/actions/(\d+))", [this](const Request& in, Response& out) { get_action(in, out); });
    http_->Get("/v1/history", [this](const Request& in, Response& out) { get_history(in, out); });
    const Costs costs{turns_, static_cast<std::uint64_t>(options_.answer_bytes_max)};
    add_series_routes(*http_, backend_, clock_, costs);
    add_record_route(*http_, backend_, clock_, costs,
                     {options_.spool_directory.empty() ? Spool::default_directory() : options_.spool_directory,
                      options_.spool_room_left});
    post(R"(/v1/actions/(\d+)/(approve|reject))", [this](const Request& in, Response& out) { post_action(in, out); });
    post(R"(/v1/hosts/([^/]+)/maintenance)", [this](const Request& in, Response& out) { post_maintenance(in, out); });
    post(R"(/v1/(pause|resume))", [this](const Request& in, Response& out) { post_pause(in, out); });
  }

  /// Of what takes no parameters.
  void get(const char* path, Handler handler) {
    http_->Get(path, [handler = std::move(handler)](const Request& in, Response& out) {
      if (const Status good = check_parameters(in, {}, {}); !good) return send(out, good.error());
      handler(in, out);
    });
  }
  /// Likewise; a form's body, which the HTTP library takes for parameters, is none of them.
  void post(const char* path, Handler handler) {
    http_->Post(path, [handler = std::move(handler)](const Request& in, Response& out) {
      if (in.target.find('?') == std::string::npos) return handler(in, out);
      send(out, Error{ErrorCode::kInvalidArgument, in.path + " takes no parameters, but a body"});
    });
  }

  /// What is made of all hosts or VMs is held until it is sent: only some of it at a time.
  template <typename Make>
  void send_in_turn(Response& out, const Make& make) {
    const std::shared_ptr<void> turn = quick_turns_.take();
    if (turn == nullptr) return send(out, kTooManyAnswers);
    send(out, make(), turn);
  }

  void get_forecast(const Request& in, Response& out) {
    if (const Status good = check_parameters(in, {"resource"}, {}); !good) return send(out, good.error());
    const std::string text = one(parameters_of(in), "resource");
    const Result<forecast::Resource> resource = parse_resource(text.empty() ? "cpu" : text);
    if (!resource) return send(out, resource.error());
    const Result<SeriesOutlook> outlook = backend_.outlook(in.matches[1], *resource);
    if (!outlook) return send(out, outlook.error());
    send(out, to_json(*outlook));
  }

  void get_accuracy(const Request& in, Response& out) {
    if (const Status good = check_parameters(in, {"vm"}, {}); !good) return send(out, good.error());
    const std::shared_ptr<void> turn = quick_turns_.take();
    if (turn == nullptr) return send(out, kTooManyAnswers);
    const auto reports = backend_.accuracy(one(parameters_of(in), "vm"));
    if (!reports) return send(out, reports.error());
    send(out, accuracy_json(*reports, backend_.forecast_step()), turn);
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

  Json plan() const {
    const auto snapshot = backend_.snapshot();
    Json open = Json::array();
    for (const drs::ActionRecord& action : snapshot->actions) {
      if (!drs::is_final(action.state)) open.push_back(to_json(action));
    }
    return {{"paused", snapshot->paused},
            {"automation", ham::to_string(snapshot->automation)},
            {"decision", snapshot->decision ? to_json(*snapshot->decision) : Json(nullptr)},
            {"open_actions", open}};
  }

  /// The journalled decision with this number, or the one of the last cycle.
  Result<Json> find_decision(const Request& in, std::uint64_t id) {
    const auto snapshot = backend_.snapshot();
    if (snapshot->decision && snapshot->decision->id == id) return to_json(*snapshot->decision);
    std::optional<Json> found;
    std::size_t seen = 0;
    const Status read = backend_.store().visit_journal_tail(kWholeJournal, [&](const store::JournalEntry& entry) {
      if (++seen % kLookUpEvery == 0 && !is_wanted(in)) return false;
      const auto* decision = std::get_if<ham::Decision>(&entry.payload);
      if (decision == nullptr) return true;
      if (decision->id == id) found = to_json(*decision);
      return decision->id > id;  // numbers grow, from run to run as well
    });
    if (!read) return read.error();
    if (found) return std::move(*found);
    return Error{ErrorCode::kNotFound, fmt::format("no decision {} in the journal", id)};
  }

  Result<drs::ActionRecord> find_action(const Request& in, std::uint64_t id) {
    const auto snapshot = backend_.snapshot();
    for (const drs::ActionRecord& action : snapshot->actions) {
      if (action.action.id == id) return action;
    }
    std::optional<drs::ActionRecord> record;
    std::vector<drs::Transition> transitions;  // newest first
    std::size_t seen = 0;
    const Status read = backend_.store().visit_journal_tail(kWholeJournal, [&](store::JournalEntry&& entry) {
      if (++seen % kLookUpEvery == 0 && !is_wanted(in)) return false;
      auto* step = std::get_if<drs::Transition>(&entry.payload);
      if (step != nullptr && step->action == id) transitions.push_back(std::move(*step));
      auto* intent = std::get_if<drs::ActionRecord>(&entry.payload);
      if (intent == nullptr) return true;
      const bool older = intent->action.id > id;
      if (intent->action.id == id) record = std::move(*intent);
      return older;
    });
    if (!read) return read.error();
    if (!record) return Error{ErrorCode::kNotFound, fmt::format("no action {} in the journal", id)};
    for (auto step = transitions.rbegin(); step != transitions.rend(); ++step) {
      if (const Status folded = drs::apply(*record, std::move(*step)); !folded) return folded.error();
    }
    return std::move(*record);
  }

  void get_decision(const Request& in, Response& out) {
    const Result<std::uint64_t> id = parse_number(in.matches[1]);
    if (!id) return send(out, id.error());
    const std::shared_ptr<void> turn = quick_turns_.take();
    if (turn == nullptr) return send(out, kTooManyAnswers);
    Result<Json> decision = find_decision(in, *id);
    if (!decision) return send(out, decision.error());
    Json actions = Json::array();
    const auto snapshot = backend_.snapshot();  // kept: the next cycle replaces it
    for (const drs::ActionRecord& action : snapshot->actions) {
      if (action.decision == *id) actions.push_back(to_json(action));
    }
    (*decision)["action_records"] = std::move(actions);
    send(out, *decision, turn);
  }

  Json actions() const {
    Json actions = Json::array();
    const auto snapshot = backend_.snapshot();  // kept: the next cycle replaces it
    for (const drs::ActionRecord& action : snapshot->actions) actions.push_back(to_json(action));
    return actions;
  }

  void get_action(const Request& in, Response& out) {
    const Result<std::uint64_t> id = parse_number(in.matches[1]);
    if (!id) return send(out, id.error());
    const std::shared_ptr<void> turn = quick_turns_.take();
    if (turn == nullptr) return send(out, kTooManyAnswers);
    const Result<drs::ActionRecord> action = find_action(in, *id);
    if (!action) return send(out, action.error());
    Json json = to_json(*action);
    const Result<Json> decision = find_decision(in, action->decision);
    json["explanation"] = decision ? *decision : Json(nullptr);
    send(out, json, turn);
  }

  void get_history(const Request& in, Response& out) {
    const Status good = check_parameters(in, {"limit", "all", "from", "to"}, {"vm", "host", "kind"});
    if (!good) return send(out, good.error());
    const auto snapshot = backend_.snapshot();  // kept: the next cycle replaces it
    const Result<HistoryFilter> filter =
        parse_history(parameters_of(in), *snapshot, backend_.store().series(), clock_.now());
    if (!filter) return send(out, filter.error());
    const std::shared_ptr<void> turn = turns_.take();
    if (turn == nullptr) return send(out, kTooManyAnswers);
    store::Allowance allowance(static_cast<std::uint64_t>(options_.answer_bytes_max), [&in] { return is_wanted(in); });
    const Status there = check_hosts(backend_.store(), *filter, *snapshot, allowance);
    if (!there) return send(out, there.error());
    const auto numbers = find_history(backend_.store(), *filter, snapshot->actions, allowance);
    if (!numbers) return send(out, numbers.error());
    stream(in, out, "application/json", [this, turn, found = *numbers](const Write& write) -> Status {
      std::string piece = "[";
      bool is_first = true;
      for (const std::uint64_t lsn : found) {
        const auto entry = backend_.store().journal_entry(lsn);
        if (!entry) return entry.error();
        if (!*entry) continue;  // it has expired meanwhile
        piece += (is_first ? "" : ",") + to_json(**entry).dump(-1, ' ', false, Json::error_handler_t::replace);
        is_first = false;
        if (piece.size() < kPieceBytes) continue;
        if (!write(piece)) return {};
        piece.clear();
      }
      write(piece + "]\n");
      return {};
    });
  }

  /// The JSON object in the body, {} if there is none.
  static Result<Json> body(const Request& in) {
    if (in.body.empty()) return Json::object();
    if (in.body.size() > kMaxBodyBytes) return Error{ErrorCode::kInvalidArgument, kLongBody};  // it came in chunks
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

  Turns turns_;        // answers that are under way hold some of them
  Turns quick_turns_;  // likewise, of what is soon answered but may be large: all hosts, or what the journal has of one
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

Status check_tls(const ServerOptions& options) {
  if (options.tls_certificate.empty() && options.tls_key.empty()) return {};
  if (options.tls_certificate.empty() || options.tls_key.empty()) {
    return Error{ErrorCode::kInvalidArgument, "TLS takes a certificate and its key: set tls_certificate and tls_key"};
  }
  const auto nobody = [](const httplib::Request&) { return false; };
  const auto server = make_guarded_server(options.tls_certificate, options.tls_key, nobody, options.patience);
  const auto* tls = dynamic_cast<const httplib::SSLServer*>(server.get());
  // Until it is asked, OpenSSL takes a key of another type than the certificate's.
  if (server->is_valid() && tls != nullptr && SSL_CTX_check_private_key(tls->ssl_context()) == 1) return {};
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("cannot use {} and {} for TLS: not there, not to be read, or not a certificate and its key",
                           options.tls_certificate, options.tls_key)};
}

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Backend& backend, const Clock& clock) {
  if (options.token.empty()) return Error{ErrorCode::kInvalidArgument, "the API needs a token"};
  const bool tls = !options.tls_certificate.empty() && !options.tls_key.empty();
  if (!tls && !is_loopback(options.address)) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("the API listens on {}, which is not a loopback address: set tls_certificate and tls_key",
                             options.address)};
  }
  if (const Status usable = check_tls(options); !usable) return usable.error();
  const auto knows = [token = options.token](const httplib::Request& request) { return has_token(request, token); };
  auto http = make_guarded_server(tls ? options.tls_certificate : std::string(), tls ? options.tls_key : std::string(),
                                  knows, options.patience);
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
