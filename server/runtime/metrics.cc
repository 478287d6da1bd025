#include "server/runtime/metrics.h"

#include <exception>
#include <utility>

#include "server/domain/concat.h"

namespace relais::runtime {
namespace {

// Seconds; from a point read in memory to the longest deadline.
const prometheus::Histogram::BucketBoundaries kSeconds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

}  // namespace

std::string_view CodeName(absl::StatusCode code) {
  static constexpr std::string_view kNames[] = {
      "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
      "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
      "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
      "DataLoss", "Unauthenticated"};
  auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : kNames[2];
}

CallMetrics::CallMetrics(prometheus::Counter& started,
                         prometheus::Family<prometheus::Counter>& handled,
                         prometheus::Histogram& seconds, prometheus::Labels labels)
    : started_(started), handled_family_(handled), seconds_(seconds), labels_(std::move(labels)) {}

void CallMetrics::Handled(absl::StatusCode code, std::chrono::duration<double> taken) {
  auto index = static_cast<size_t>(code);
  if (index >= kCodes) index = static_cast<size_t>(absl::StatusCode::kUnknown);
  prometheus::Counter* counter = handled_[index].load(std::memory_order_acquire);
  if (counter == nullptr) {
    prometheus::Labels labels = labels_;
    labels["grpc_code"] = std::string(CodeName(code));
    counter = &handled_family_.Add(labels);  // answers the same series to whoever comes second
    handled_[index].store(counter, std::memory_order_release);
  }
  counter->Increment();
  seconds_.Observe(taken.count());
}

Metrics::Metrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      started_(prometheus::BuildCounter()
                   .Name("grpc_server_started_total")
                   .Help("Calls begun")
                   .Register(*registry_)),
      handled_(prometheus::BuildCounter()
                   .Name("grpc_server_handled_total")
                   .Help("Calls ended, by code")
                   .Register(*registry_)),
      seconds_(prometheus::BuildHistogram()
                   .Name("grpc_server_handling_seconds")
                   .Help("Time from the arrival of a call to its status")
                   .Register(*registry_)),
      transitions_(prometheus::BuildCounter()
                       .Name("relais_transitions_total")
                       .Help("Stage changes followed in the feed")
                       .Register(*registry_)),
      feed_lag_(prometheus::BuildGauge()
                    .Name("relais_feed_lag_seconds")
                    .Help("Age of the oldest event that a reaction has not dealt with")
                    .Register(*registry_)),
      reaction_lag_(prometheus::BuildHistogram()
                        .Name("relais_reaction_lag_seconds")
                        .Help("From the record of an event to what a reaction did about it")
                        .Register(*registry_)),
      reaction_refusals_(prometheus::BuildCounter()
                             .Name("relais_reaction_refusals_total")
                             .Help("What a reaction left undone because it was refused")
                             .Register(*registry_)),
      watchers_(prometheus::BuildGauge()
                    .Name("relais_watchers")
                    .Help("Streams of Watch and WatchOperation that are open")
                    .Register(*registry_)
                    .Add({})) {}

std::unique_ptr<CallMetrics> Metrics::ForCall(std::string_view type, std::string_view service,
                                              std::string_view method) {
  prometheus::Labels labels = {{"grpc_type", std::string(type)},
                               {"grpc_service", std::string(service)},
                               {"grpc_method", std::string(method)}};
  return std::make_unique<CallMetrics>(started_.Add(labels), handled_,
                                       seconds_.Add(labels, kSeconds), labels);
}

prometheus::Counter& Metrics::Transitions(std::string_view from, std::string_view to) {
  return transitions_.Add({{"from", std::string(from)}, {"to", std::string(to)}});
}

prometheus::Gauge& Metrics::FeedLag(std::string_view reaction) {
  return feed_lag_.Add({{"reaction", std::string(reaction)}});
}

prometheus::Histogram& Metrics::ReactionLag(std::string_view reaction) {
  return reaction_lag_.Add({{"reaction", std::string(reaction)}}, kSeconds);
}

prometheus::Counter& Metrics::ReactionRefusals(std::string_view reaction, std::string_view reason) {
  return reaction_refusals_.Add(
      {{"reaction", std::string(reaction)}, {"reason", std::string(reason)}});
}

absl::Status Metrics::Expose(const std::string& address) {
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(address, /*num_threads=*/1);
    exposer_->RegisterCollectable(registry_);
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(Concat("--metrics_listen: cannot serve ", address));
  }
  return absl::OkStatus();
}

int Metrics::port() const {
  return exposer_ == nullptr ? 0 : exposer_->GetListeningPorts().front();
}

}  // namespace relais::runtime
