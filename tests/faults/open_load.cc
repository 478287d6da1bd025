// open_load: captures at a given rate whatever the answers say, as a crowd does, or a given number
// at a time; and what became of them.
//
//   open_load --server HOST:PORT --rate 5000 --seconds 10 --deadline_ms 2000
//   open_load --server HOST:PORT --in_flight 256 --seconds 10 --deadline_ms 20000
//
// "start" is the first line of the standard output, written when the first call leaves; the last
// line is a JSON object:
//   sent, ok, refused, expired, other   calls, and how they ended
//   bare        refusals without RetryInfo or without the same in grpc-retry-pushback-ms
//   ok_inside   answers OK that came while calls were still being sent
//   seconds     how long calls were sent
//   slots       answers OK by quarters of a second since the start
//   p50_ms, p99_ms  of the answers OK
//   least_retry_ms, most_retry_ms  told to those refused
//   codes       of `other`, by number
#include <google/protobuf/util/time_util.h>
#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "clients/cli/identity.h"
#include "relais/v1/lead_service.grpc.pb.h"

namespace relais::faults {
namespace {

using std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr auto kSlot = std::chrono::milliseconds(250);

struct Options {
  std::string server;
  double rate = 0;
  int in_flight = 0;
  double seconds = 5;
  int deadline_ms = 2000;
};

// The delay told by both ways, in milliseconds; negative unless both tell the same.
int64_t RetryOf(const grpc::Status& status, const grpc::ClientContext& context) {
  google::rpc::Status detail;
  if (!detail.ParseFromString(status.error_details())) return -1;
  int64_t told = -1;
  for (const google::protobuf::Any& any : detail.details()) {
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&retry)) {
      told = google::protobuf::util::TimeUtil::DurationToMilliseconds(retry.retry_delay());
    }
  }
  auto pushback = context.GetServerTrailingMetadata().find("grpc-retry-pushback-ms");
  if (pushback == context.GetServerTrailingMetadata().end()) return -1;
  const std::string text(pushback->second.data(), pushback->second.size());
  return text == std::to_string(told) ? told : -1;
}

class OpenLoad {
 public:
  explicit OpenLoad(const Options& options) : options_(options) {
    grpc::ChannelArguments arguments;
    // The answers are to be seen as they are, not repeated.
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    leads_ = v1::LeadService::NewStub(
        grpc::CreateCustomChannel(options.server, grpc::InsecureChannelCredentials(), arguments));
    mark_ = cli::RandomUuid();
  }

  void Run() {
    std::printf("start\n");
    std::fflush(stdout);
    start_ = steady_clock::now();
    const auto end = start_ + std::chrono::duration_cast<steady_clock::duration>(
                                  std::chrono::duration<double>(options_.seconds));
    if (options_.rate > 0) {
      for (int64_t i = 0;; ++i) {
        const auto due = start_ + std::chrono::duration_cast<steady_clock::duration>(
                                      std::chrono::duration<double>(i / options_.rate));
        if (due >= end) break;
        std::this_thread::sleep_until(due);
        Send(i);
      }
    } else {
      std::unique_lock<std::mutex> lock(mutex_);
      for (int64_t i = 0; steady_clock::now() < end; ++i) {
        changed_.wait(lock, [&] { return under_way_ < options_.in_flight; });
        lock.unlock();
        Send(i);
        lock.lock();
      }
    }
    std::unique_lock<std::mutex> lock(mutex_);
    sent_until_ = steady_clock::now();
    ok_inside_ = ok_;
    changed_.wait(lock, [&] { return under_way_ == 0; });
    Print();
  }

 private:
  struct State {
    grpc::ClientContext context;
    v1::CaptureLeadRequest request;
    v1::CaptureLeadResponse response;
    steady_clock::time_point begun;
  };

  void Send(int64_t number) {
    auto* state = new State;
    v1::Lead& lead = *state->request.mutable_lead();
    lead.set_market(v1::MARKET_B2B);
    lead.mutable_person()->set_display_name("Load");
    lead.mutable_person()->add_emails()->set_address("p" + std::to_string(number) + "-" + mark_ +
                                                     "@example.com");
    state->context.set_deadline(std::chrono::system_clock::now() +
                                std::chrono::milliseconds(options_.deadline_ms));
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ++sent_;
      ++under_way_;
    }
    state->begun = steady_clock::now();
    leads_->async()->CaptureLead(&state->context, &state->request, &state->response,
                                 [this, state](const grpc::Status& status) {
                                   Ended(*state, status);
                                   delete state;
                                 });
  }

  void Ended(const State& state, const grpc::Status& status) {
    const auto now = steady_clock::now();
    int64_t retry = -1;
    if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
      retry = RetryOf(status, state.context);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    switch (status.error_code()) {
      case grpc::StatusCode::OK: {
        ++ok_;
        const auto slot = static_cast<size_t>((now - start_) / kSlot);
        if (slots_.size() <= slot) slots_.resize(slot + 1);
        ++slots_[slot];
        taken_ms_.push_back(Milliseconds(now - state.begun).count());
        break;
      }
      case grpc::StatusCode::RESOURCE_EXHAUSTED:
        ++refused_;
        if (retry < 0) {
          ++bare_;
        } else {
          least_retry_ = least_retry_ < 0 ? retry : std::min(least_retry_, retry);
          most_retry_ = std::max(most_retry_, retry);
        }
        break;
      case grpc::StatusCode::DEADLINE_EXCEEDED:
        ++expired_;
        break;
      default:
        ++codes_[status.error_code()];
    }
    --under_way_;
    changed_.notify_all();
  }

  double Quantile(double part) const {
    if (taken_ms_.empty()) return 0;
    return taken_ms_[static_cast<size_t>(part * static_cast<double>(taken_ms_.size() - 1))];
  }

  void Print() {
    std::sort(taken_ms_.begin(), taken_ms_.end());
    int64_t other = 0;
    std::string codes, slots;
    for (const auto& [code, count] : codes_) {
      other += count;
      codes +=
          (codes.empty() ? "\"" : ", \"") + std::to_string(code) + "\": " + std::to_string(count);
    }
    for (int64_t count : slots_) slots += (slots.empty() ? "" : ", ") + std::to_string(count);
    std::printf(
        "{\"sent\": %lld, \"ok\": %lld, \"ok_inside\": %lld, \"refused\": %lld, \"bare\": %lld, "
        "\"expired\": %lld, \"other\": %lld, \"seconds\": %.3f, \"p50_ms\": %.2f, \"p99_ms\": "
        "%.2f, \"least_retry_ms\": %lld, \"most_retry_ms\": %lld, \"codes\": {%s}, \"slots\": "
        "[%s]}\n",
        static_cast<long long>(sent_), static_cast<long long>(ok_),
        static_cast<long long>(ok_inside_), static_cast<long long>(refused_),
        static_cast<long long>(bare_), static_cast<long long>(expired_),
        static_cast<long long>(other), std::chrono::duration<double>(sent_until_ - start_).count(),
        Quantile(0.5), Quantile(0.99), static_cast<long long>(least_retry_),
        static_cast<long long>(most_retry_), codes.c_str(), slots.c_str());
  }

  const Options options_;
  std::unique_ptr<v1::LeadService::Stub> leads_;
  std::string mark_;  // so that no person was captured by another run
  steady_clock::time_point start_, sent_until_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t under_way_ = 0, sent_ = 0, ok_ = 0, ok_inside_ = 0, refused_ = 0, bare_ = 0, expired_ = 0;
  int64_t least_retry_ = -1, most_retry_ = -1;
  std::map<int, int64_t> codes_;
  std::vector<int64_t> slots_;
  std::vector<double> taken_ms_;
};

int Run(int argc, char** argv) {
  CLI::App app("open_load: captures at a given rate, for the overload test");
  Options options;
  app.add_option("--server", options.server)->required();
  auto* rate = app.add_option("--rate", options.rate)->check(CLI::PositiveNumber);
  auto* in_flight = app.add_option("--in_flight", options.in_flight)->check(CLI::PositiveNumber);
  rate->excludes(in_flight);
  app.add_option("--seconds", options.seconds)->check(CLI::PositiveNumber);
  app.add_option("--deadline_ms", options.deadline_ms)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  if (rate->count() + in_flight->count() != 1) {
    std::fprintf(stderr, "open_load: give --rate or --in_flight\n");
    return 2;
  }
  // Never destroyed: threads of gRPC may still be leaving the last calls.
  (new OpenLoad(options))->Run();
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
