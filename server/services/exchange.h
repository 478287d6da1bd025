// One call under way, whatever its shape: who makes it, until when, how it ends. What every call
// has in common is here and nowhere else: authentication, call id, deadline, cancellation, log
// line, metrics, the mapping of statuses, trailing metadata.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "server/convert/decode.h"
#include "server/convert/digest.h"
#include "server/convert/page_token.h"
#include "server/domain/clock.h"
#include "server/runtime/authentication.h"
#include "server/runtime/metrics.h"
#include "storage/store.h"

namespace relais::services {

class FeedHub;
class Streams;

// A unary call without a deadline of its own gets this one, so that nothing waits for ever.
inline constexpr std::chrono::seconds kUnaryDeadline{10};

// What all services stand on. Everything outlives the services.
struct Edge {
  storage::Store& store;
  const domain::Clock& clock;
  const runtime::Authenticator& authenticator;
  runtime::Metrics& metrics;
  domain::IdSource& call_ids;
  const convert::Digester& digester;
  const convert::PageTokens& pages;
  FeedHub& feed;
  Streams& streams;
};

// A method as it is registered.
struct Method {
  std::string service;  // "LeadService"
  std::string name;     // "GetLead"
  std::string path;     // "/relais.v1.LeadService/GetLead"
  bool unary = true;
  std::unique_ptr<runtime::CallMetrics> metrics;
};

// Not thread-safe but for Cancel and cancelled. `edge`, `method` and `context` outlive it.
class Exchange {
 public:
  Exchange(const Edge& edge, const Method& method, grpc::CallbackServerContext* context);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Who calls: UNAUTHENTICATED when nobody who is admitted. To be called first, before the request
  // is read.
  absl::Status Admit();

  const Edge& edge() const { return edge_; }
  const storage::Call& call() const { return call_; }
  // What the call is named by in the log and in refusals; made when it is first asked for.
  const std::string& id() const;
  // For convert's Parse functions. Refers to this exchange.
  convert::DecodeContext decoding() const;

  // From any thread: the caller is gone; what waits for it may be dropped.
  void Cancel() { call_.cancelled->store(true, std::memory_order_relaxed); }
  bool cancelled() const { return call_.cancelled->load(std::memory_order_relaxed); }

  // Says in the trailing metadata where a write was committed.
  void AddCommitted(const storage::Committed& committed, bool replayed);
  // The end of the call as the transport needs it; writes the log line and counts. Exactly once.
  grpc::Status Close(const absl::Status& status);

 private:
  const Edge& edge_;
  const Method& method_;
  grpc::CallbackServerContext* context_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  storage::Call call_;
  mutable std::string id_;
};

// Bytes of the transport to and from messages. INVALID_ARGUMENT for bytes that are no such message.
absl::Status FromBytes(const grpc::ByteBuffer& in, google::protobuf::Message* out);
void ToBytes(const google::protobuf::Message& in, grpc::ByteBuffer* out);
void BytesToBuffer(std::string_view in, grpc::ByteBuffer* out);

// INTERNAL, for the fence around handlers: called inside a catch block, it logs what kind of
// exception it was and never its text, which may hold bound values.
absl::Status CaughtException();

}  // namespace relais::services
