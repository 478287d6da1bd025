// What the server counts, in Prometheus' form. RPC metrics have the names of go-grpc-prometheus, so
// that existing dashboards read them. Labels are calls, codes and stages, never people.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace relais::runtime {

// The series of one call. Thread-safe.
class CallMetrics {
 public:
  CallMetrics(prometheus::Counter& started, prometheus::Family<prometheus::Counter>& handled,
              prometheus::Histogram& seconds, prometheus::Labels labels);
  void Started() { started_.Increment(); }
  void Handled(absl::StatusCode code, std::chrono::duration<double> taken);

 private:
  static constexpr size_t kCodes = 17;  // google.rpc.Code, OK to UNAUTHENTICATED
  prometheus::Counter& started_;
  prometheus::Family<prometheus::Counter>& handled_family_;
  prometheus::Histogram& seconds_;
  prometheus::Labels labels_;
  std::array<std::atomic<prometheus::Counter*>, kCodes> handled_{};
};

// Thread-safe. What it hands out lives as long as it does.
class Metrics {
 public:
  Metrics();

  // `type` is "unary", "server_stream" or "bidi_stream"; `service` the full name.
  std::unique_ptr<CallMetrics> ForCall(std::string_view type, std::string_view service,
                                       std::string_view method);
  // Stage changes that this server has followed in the feed.
  prometheus::Counter& Transitions(std::string_view from, std::string_view to);
  // Age of the oldest event that a reaction has not dealt with, in seconds; 0 when there is none.
  prometheus::Gauge& FeedLag(std::string_view reaction);
  // From the record of an event to the commit of what a reaction did about it, in seconds.
  prometheus::Histogram& ReactionLag(std::string_view reaction);
  // Effects that a reaction left undone because they were refused, by the refusal's reason.
  prometheus::Counter& ReactionRefusals(std::string_view reaction, std::string_view reason);
  prometheus::Gauge& watchers() { return watchers_; }

  prometheus::Registry& registry() { return *registry_; }
  // Serves /metrics on host:port until the object goes. INVALID_ARGUMENT when it cannot be bound.
  absl::Status Expose(const std::string& address);
  // The port that Expose bound; 0 before.
  int port() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& started_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Histogram>& seconds_;
  prometheus::Family<prometheus::Counter>& transitions_;
  prometheus::Family<prometheus::Gauge>& feed_lag_;
  prometheus::Family<prometheus::Histogram>& reaction_lag_;
  prometheus::Family<prometheus::Counter>& reaction_refusals_;
  prometheus::Gauge& watchers_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

std::string_view CodeName(
    absl::StatusCode code);  // "InvalidArgument", as go-grpc-prometheus writes

}  // namespace relais::runtime
