// relais_load: writes at a server as fast as it takes them, and keeps a journal of every call that
// was begun and of how it ended, so that a test can hold the server to what it acknowledged.
//
//   relais_load run    captures, touchpoints, updates and whole sales, many at a time
//   relais_load retry  sends again, with the same request ids, what the journal leaves open
//   relais_load same   captures the same identities as every other process that does so
//
// Journal, one line an entry, fields separated by tabs:
//   begun    OP METHOD REQUEST_ID TARGET     before the call leaves
//   ok       OP RESOURCE POSITION REPLAYED   acknowledged
//   failed   OP CODE MESSAGE                 refused: it has not happened
//   unknown  OP CODE MESSAGE                 no answer: it may have happened
// Every effect of an operation carries "op-OP" where the log shows it, and nothing but its request
// id protects it from happening twice. What a call says is a function of METHOD, OP and TARGET, so
// that a retry sends the same request. RepeatCapture is a second call of another capture, the same
// to the last byte: its TARGET is "OP:TARGET" of that one.
//
// The last line of the standard output is a JSON object of the counts and the rate.
#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "clients/cli/identity.h"
#include "relais/v1/lead_service.grpc.pb.h"
#include "relais/v1/opportunity_service.grpc.pb.h"
#include "relais/v1/qualification_service.grpc.pb.h"

namespace relais::faults {
namespace {

using std::chrono::steady_clock;

constexpr auto kCallDeadline = std::chrono::seconds(20);
constexpr int kProgressEvery = 50;
constexpr int kRetryRounds = 100;
constexpr size_t kLeadsInPlay = 30;
constexpr size_t kPeopleInPlay = 40;      // captured again and again by a run
constexpr size_t kRepeatedCaptures = 64;  // the latest ones, many of them still under way

struct Operation {
  int64_t number = 0;
  std::string method, request_id, target;
  size_t lead = 0;  // index of the lead it holds, when it holds one
};

struct Outcome {
  grpc::Status status;
  std::string resource, position;
  bool replayed = false;
};

enum class Ending { kOk, kFailed, kUnknown };

Ending EndingOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return Ending::kOk;
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
      return Ending::kUnknown;
    default:
      return Ending::kFailed;
  }
}

class Journal {
 public:
  explicit Journal(const std::string& path) : file_(std::fopen(path.c_str(), "ab")) {
    if (file_ == nullptr) throw std::runtime_error(path + ": cannot be written");
  }
  ~Journal() { std::fclose(file_); }
  void Flush() { std::fflush(file_); }
  void Begun(const Operation& op) {
    std::fprintf(file_, "begun\t%lld\t%s\t%s\t%s\n", static_cast<long long>(op.number),
                 op.method.c_str(), op.request_id.c_str(), op.target.c_str());
  }
  void Ended(const Operation& op, const Outcome& outcome) {
    auto number = static_cast<long long>(op.number);
    if (outcome.status.ok()) {
      std::fprintf(file_, "ok\t%lld\t%s\t%s\t%d\n", number, outcome.resource.c_str(),
                   outcome.position.c_str(), outcome.replayed ? 1 : 0);
      return;
    }
    std::string message = outcome.status.error_message();
    std::replace_if(
        message.begin(), message.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
    std::fprintf(file_, "%s\t%lld\t%d\t%s\n",
                 EndingOf(outcome.status) == Ending::kFailed ? "failed" : "unknown", number,
                 static_cast<int>(outcome.status.error_code()), message.c_str());
  }

 private:
  FILE* file_;
};

std::vector<Operation> OpenOperations(const std::string& path) {
  std::ifstream in(path);
  std::map<int64_t, Operation> open;
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string kind, number;
    std::getline(words, kind, '\t');
    std::getline(words, number, '\t');
    int64_t op = std::stoll(number);
    if (kind == "begun") {
      Operation& entry = open[op];
      entry.number = op;
      std::getline(words, entry.method, '\t');
      std::getline(words, entry.request_id, '\t');
      std::getline(words, entry.target, '\t');
    } else if (kind != "unknown") {
      open.erase(op);
    }
  }
  std::vector<Operation> out;
  for (auto& [number, op] : open) out.push_back(std::move(op));
  return out;
}

// Sends operations; the outcome comes on a thread of gRPC. Thread-safe.
class Sender {
 public:
  using Done = std::function<void(const Outcome&)>;

  explicit Sender(const std::string& server) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
    auto channel = grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
    leads_ = v1::LeadService::NewStub(channel);
    qualification_ = v1::QualificationService::NewStub(channel);
    opportunities_ = v1::OpportunityService::NewStub(channel);
  }

  void Send(const Operation& op, Done done) {
    if (op.method == "RepeatCapture") {
      const size_t colon = op.target.find(':');
      Operation first = op;
      first.method = "CaptureLead";
      first.number = std::stoll(op.target.substr(0, colon));
      first.target = op.target.substr(colon + 1);
      Send(first, std::move(done));
      return;
    }
    const std::string mark = "op-" + std::to_string(op.number);
    if (op.method == "CaptureLead") {
      v1::CaptureLeadRequest request;
      v1::Lead& lead = *request.mutable_lead();
      lead.set_market(v1::MARKET_B2B);
      lead.mutable_person()->set_display_name("Load " + mark);
      request.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_FORM);
      request.mutable_touchpoint()->set_topic(mark);
      if (op.target.empty()) {
        (*lead.mutable_labels())["op"] = mark;
      } else {
        lead.mutable_person()->add_emails()->set_address(op.target + "@example.com");
        v1::ExternalId& id = *lead.add_external_ids();
        id.set_system("load");
        id.set_id(op.target);
      }
      request.set_request_id(op.request_id);
      Call(
          *leads_, &v1::LeadService::Stub::async::CaptureLead, std::move(request),
          [](const v1::CaptureLeadResponse& r) { return r.lead().name(); }, std::move(done));
    } else if (op.method == "RecordTouchpoint") {
      v1::RecordTouchpointRequest request;
      request.set_parent(op.target);
      request.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_PAGE_VIEW);
      request.mutable_touchpoint()->set_topic(mark);
      request.set_request_id(op.request_id);
      Call(
          *leads_, &v1::LeadService::Stub::async::RecordTouchpoint, std::move(request),
          [](const v1::Touchpoint& r) { return r.name(); }, std::move(done));
    } else if (op.method == "UpdateLead") {
      v1::UpdateLeadRequest request;
      request.mutable_lead()->set_name(op.target);
      request.mutable_lead()->mutable_person()->set_job_title(mark);
      request.mutable_update_mask()->add_paths("person.job_title");
      request.set_request_id(op.request_id);
      Call(
          *leads_, &v1::LeadService::Stub::async::UpdateLead, std::move(request),
          [](const v1::Lead& r) { return r.name(); }, std::move(done));
    } else if (op.method == "AssessLead") {
      v1::AssessLeadRequest request;
      request.set_parent(op.target);
      request.mutable_assessment()->set_author(mark);
      for (const char* criterion : {"budget", "authority", "need", "timeline"}) {
        v1::CriterionAnswer& answer = *request.mutable_assessment()->add_answers();
        answer.set_criterion(criterion);
        answer.set_state(v1::CRITERION_STATE_MET);
      }
      request.set_request_id(op.request_id);
      Call(
          *qualification_, &v1::QualificationService::Stub::async::AssessLead, std::move(request),
          [](const v1::Assessment& r) { return r.name(); }, std::move(done));
    } else if (op.method == "QualifyLead") {
      v1::QualifyLeadRequest request;
      request.set_name(op.target);
      request.set_reason(mark);
      request.set_request_id(op.request_id);
      Call(
          *qualification_, &v1::QualificationService::Stub::async::QualifyLead, std::move(request),
          [](const v1::Lead& r) { return r.name(); }, std::move(done));
    } else if (op.method == "CreateOpportunity") {
      v1::CreateOpportunityRequest request;
      request.mutable_opportunity()->set_lead(op.target);
      request.mutable_opportunity()->set_display_name(mark);
      request.mutable_opportunity()->set_intention("wants to buy");
      request.set_request_id(op.request_id);
      Call(
          *opportunities_, &v1::OpportunityService::Stub::async::CreateOpportunity,
          std::move(request), [](const v1::Opportunity& r) { return r.name(); }, std::move(done));
    } else if (op.method == "CloseOpportunity") {
      v1::CloseOpportunityRequest request;
      request.set_name(op.target);
      request.set_outcome(op.number % 3 == 0 ? v1::CLOSE_OUTCOME_LOST : v1::CLOSE_OUTCOME_WON);
      request.set_reason(mark);
      request.set_request_id(op.request_id);
      Call(
          *opportunities_, &v1::OpportunityService::Stub::async::CloseOpportunity,
          std::move(request), [](const v1::Opportunity& r) { return r.name(); }, std::move(done));
    } else {
      throw std::runtime_error("unknown method " + op.method);
    }
  }

 private:
  template <class Stub, class Async, class Request, class Response, class Name>
  void Call(Stub& stub,
            void (Async::*method)(grpc::ClientContext*, const Request*, Response*,
                                  std::function<void(grpc::Status)>),
            Request request, Name name, Done done) {
    struct State {
      grpc::ClientContext context;
      Request request;
      Response response;
    };
    auto state = std::make_shared<State>();
    state->request = std::move(request);
    state->context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    (stub.async()->*method)(&state->context, &state->request, &state->response,
                            [state, name, done = std::move(done)](const grpc::Status& status) {
                              Outcome outcome;
                              outcome.status = status;
                              if (status.ok()) outcome.resource = name(state->response);
                              const auto& trailers = state->context.GetServerTrailingMetadata();
                              auto position = trailers.find("relais-position");
                              if (position != trailers.end()) {
                                outcome.position.assign(position->second.data(),
                                                        position->second.size());
                              }
                              outcome.replayed = trailers.find("relais-replayed") != trailers.end();
                              done(outcome);
                            });
  }

  std::unique_ptr<v1::LeadService::Stub> leads_;
  std::unique_ptr<v1::QualificationService::Stub> qualification_;
  std::unique_ptr<v1::OpportunityService::Stub> opportunities_;
};

struct Options {
  std::string server, journal;
  int concurrency = 64;
  int64_t first_op = 1;
  int64_t operations = 0;     // stop after so many were begun; 0: no limit
  bool stop_on_loss = false;  // stop when a call ends without an answer
  int identities = 1000, passes = 1;
  unsigned seed = 1;
};

// Keeps `concurrency` calls under way until the source has no more operations. Shared with the
// calls: the thread that ends the last one is still in it when Run returns.
class Load : public std::enable_shared_from_this<Load> {
 public:
  Load(const Options& options, Sender& sender)
      : options_(options), sender_(sender), journal_(options.journal) {}
  virtual ~Load() = default;

  void Run() {
    const auto start = steady_clock::now();
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] {
        return under_way_ < options_.concurrency || (stopping_ && under_way_ == 0);
      });
      if (stopping_) {
        if (under_way_ == 0) break;
        changed_.wait(lock, [&] { return under_way_ == 0; });
        break;
      }
      Operation op;
      if (!Next(op)) {
        stopping_ = true;
        continue;
      }
      ++begun_;
      ++under_way_;
      journal_.Begun(op);
      lock.unlock();
      sender_.Send(op, [self = shared_from_this(), op](const Outcome& outcome) {
        self->Ended(op, outcome);
      });
      lock.lock();
    }
    journal_.Flush();
    const double seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
    std::printf(
        "{\"begun\": %lld, \"acked\": %lld, \"failed\": %lld, \"unknown\": %lld, \"seconds\": "
        "%.3f, "
        "\"rate\": %.1f}\n",
        static_cast<long long>(begun_), static_cast<long long>(acked_),
        static_cast<long long>(failed_), static_cast<long long>(unknown_), seconds,
        seconds > 0 ? static_cast<double>(acked_) / seconds : 0.0);
  }

  int64_t unknown() const { return unknown_; }

 protected:
  // Called with the lock held.
  virtual bool Next(Operation& op) = 0;
  virtual void Settled(const Operation&, const Outcome&) {}

  int64_t begun() const { return begun_; }
  const Options& options() const { return options_; }

 private:
  void Ended(const Operation& op, const Outcome& outcome) {
    std::lock_guard<std::mutex> lock(mutex_);
    journal_.Ended(op, outcome);
    switch (EndingOf(outcome.status)) {
      case Ending::kOk:
        if (++acked_ % kProgressEvery == 0) {
          std::printf("acked %lld\n", static_cast<long long>(acked_));
          std::fflush(stdout);
        }
        break;
      case Ending::kFailed:
        ++failed_;
        break;
      case Ending::kUnknown:
        ++unknown_;
        if (options_.stop_on_loss) stopping_ = true;
        break;
    }
    Settled(op, outcome);
    --under_way_;
    changed_.notify_all();
  }

  const Options options_;
  Sender& sender_;
  Journal journal_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  int under_way_ = 0;
  int64_t begun_ = 0, acked_ = 0, failed_ = 0, unknown_ = 0;
};

// Half captures, of which one in five is of a person captured before and one in five a call sent
// twice; the others move the leads that are there along: touchpoints at any time, updates and the
// steps of a sale one at a time a lead, so that none is refused for coming too early.
class MixedLoad : public Load {
 public:
  MixedLoad(const Options& options, Sender& sender)
      : Load(options, sender), random_(options.seed) {}

 private:
  enum class Phase { kLead, kAssessed, kProspect, kOpen, kClosed };
  struct KnownLead {
    std::string name, opportunity;
    Phase phase = Phase::kLead;
    bool held = false;
  };

  bool Next(Operation& op) override {
    if (options().operations > 0 && begun() >= options().operations) return false;
    op.number = options().first_op + begun();
    op.request_id = cli::RandomUuid();
    op.method = "CaptureLead";
    const auto kind = op.number % 10;
    if (kind == 4 && !captures_.empty()) {
      const Operation& first = captures_[random_() % captures_.size()];
      op.method = "RepeatCapture";
      op.request_id = first.request_id;
      op.target = std::to_string(first.number) + ":" + first.target;
      return true;
    }
    if (kind < 5 || leads_.empty()) {
      if (kind == 3) {
        op.target = "run" + std::to_string(options().seed) + "-" +
                    std::to_string(random_() % kPeopleInPlay);
      }
      captures_.push_back(op);
      if (captures_.size() > kRepeatedCaptures) captures_.pop_front();
      return true;
    }
    // Few enough that whole sales come about, and that calls meet at the same lead.
    const size_t index = random_() % std::min(leads_.size(), kLeadsInPlay);
    KnownLead& lead = leads_[index];
    if (kind < 7 || lead.held) {
      op.method = "RecordTouchpoint";
      op.target = lead.name;
      return true;
    }
    lead.held = true;
    op.lead = index + 1;
    op.target = lead.phase == Phase::kOpen ? lead.opportunity : lead.name;
    static constexpr const char* kSteps[] = {"AssessLead", "QualifyLead", "CreateOpportunity",
                                             "CloseOpportunity", "CreateOpportunity"};
    op.method = kSteps[static_cast<size_t>(lead.phase)];
    if (kind == 7) {
      op.method = "UpdateLead";
      op.target = lead.name;
    } else if (lead.phase == Phase::kClosed && op.number % 2 == 0) {
      op.method = "UpdateLead";
    }
    return true;
  }

  void Settled(const Operation& op, const Outcome& outcome) override {
    // The leads of people captured again and again are left to those captures: the same lead under
    // two entries would take steps out of turn.
    if (op.method == "CaptureLead" && op.target.empty() && outcome.status.ok()) {
      KnownLead lead;
      lead.name = outcome.resource;
      leads_.push_back(std::move(lead));
      return;
    }
    // What is unknown keeps the lead held: nobody knows where it stands.
    if (op.lead == 0 || EndingOf(outcome.status) == Ending::kUnknown) return;
    KnownLead& lead = leads_[op.lead - 1];
    lead.held = false;
    if (!outcome.status.ok() || op.method == "UpdateLead") return;
    if (op.method == "CreateOpportunity") {
      lead.opportunity = outcome.resource;
      lead.phase = Phase::kOpen;
    } else {
      lead.phase = static_cast<Phase>(static_cast<int>(lead.phase) + 1);
    }
    // A lost sale leaves a prospect, a won one a customer: both may buy again.
  }

  std::mt19937 random_;
  std::vector<KnownLead> leads_;
  std::deque<Operation> captures_;  // the latest
};

// The same identities, each pass in an order of its own, with nothing but the server to tell that
// they are one person.
class SameLoad : public Load {
 public:
  SameLoad(const Options& options, Sender& sender) : Load(options, sender) {
    std::mt19937 random(options.seed);
    for (int pass = 0; pass < options.passes; ++pass) {
      std::vector<int> order(static_cast<size_t>(options.identities));
      for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
      std::shuffle(order.begin(), order.end(), random);
      order_.insert(order_.end(), order.begin(), order.end());
    }
  }

 private:
  bool Next(Operation& op) override {
    const auto at = static_cast<size_t>(begun());
    if (at == order_.size()) return false;
    op.number = options().first_op + begun();
    op.method = "CaptureLead";
    op.request_id = cli::RandomUuid();
    op.target = "same" + std::to_string(order_[at]);
    return true;
  }

  std::vector<int> order_;
};

class RetryLoad : public Load {
 public:
  RetryLoad(const Options& options, Sender& sender, std::vector<Operation> operations)
      : Load(options, sender), operations_(std::move(operations)) {}

 private:
  bool Next(Operation& op) override {
    const auto at = static_cast<size_t>(begun());
    if (at == operations_.size()) return false;
    op = operations_[at];
    return true;
  }

  std::vector<Operation> operations_;
};

int Run(int argc, char** argv) {
  CLI::App app("relais_load: load with a journal, for the fault tests");
  app.require_subcommand(1);
  Options options;
  app.add_option("--server", options.server)->required();
  app.add_option("--journal", options.journal)->required();
  app.add_option("--concurrency", options.concurrency);
  CLI::App* run = app.add_subcommand("run");
  CLI::App* retry = app.add_subcommand("retry");
  CLI::App* same = app.add_subcommand("same");
  for (CLI::App* command : {run, retry, same}) command->fallthrough();
  run->add_option("--operations", options.operations);
  run->add_flag("--stop-on-loss", options.stop_on_loss);
  same->add_option("--identities", options.identities);
  same->add_option("--passes", options.passes);
  for (CLI::App* command : {run, same}) {
    command->add_option("--first-op", options.first_op);
    command->add_option("--seed", options.seed);
  }
  CLI11_PARSE(app, argc, argv);

  // Never destroyed: threads of gRPC may still be leaving the last calls.
  Sender& sender = *new Sender(options.server);
  if (retry->parsed()) {
    // The server may still be coming up: as long as calls end without an answer, they are repeated.
    for (int round = 0; round < kRetryRounds; ++round) {
      std::vector<Operation> open = OpenOperations(options.journal);
      if (open.empty()) {
        std::printf("{\"open\": 0}\n");
        return 0;
      }
      std::make_shared<RetryLoad>(options, sender, std::move(open))->Run();
    }
    std::printf("{\"open\": %zu}\n", OpenOperations(options.journal).size());
    return 1;
  }
  std::shared_ptr<Load> load;
  if (run->parsed()) {
    load = std::make_shared<MixedLoad>(options, sender);
  } else {
    load = std::make_shared<SameLoad>(options, sender);
  }
  load->Run();
  return 0;
}

}  // namespace
}  // namespace relais::faults

int main(int argc, char** argv) {
  int code = relais::faults::Run(argc, argv);
  std::fflush(nullptr);
  // Threads of gRPC may still be leaving the last calls: what they use is not torn down under them.
  std::_Exit(code);
}
