// Load on a server: one thread, one completion queue, a fixed number of calls in flight.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace relais::bench {

struct LoadResult {
  double rate = 0;             // successful calls a second
  std::vector<double> micros;  // what each of them took
  int64_t ok = 0, failed = 0;
  std::string first_error;
  double server_cpu = 0, database_cpu = 0, client_cpu = 0;  // microseconds a successful call
};

struct LoadPlan {
  int in_flight = 256;
  std::chrono::milliseconds warm_up{500}, measured{3000};
  // Read as the measured time begins and as it ends; what they rose by, divided by the calls, is in
  // the result.
  std::function<double()> server_cpu, database_cpu;
};

// A call under way; its address is its tag.
class PendingCall {
 public:
  virtual ~PendingCall() = default;
  grpc::ClientContext context;
  grpc::Status status;
  std::chrono::steady_clock::time_point start;
};

template <class Response>
class TypedCall : public PendingCall {
 public:
  Response response;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
};

// Starts one call on a queue. Calls that are not OK count as failed and are not in the rate.
using StartCall = std::function<std::unique_ptr<PendingCall>(grpc::CompletionQueue&)>;

// One start is used after another, in turn: with a stub of its own each, the load is spread evenly.
LoadResult RunLoad(const LoadPlan& plan, const std::vector<StartCall>& starts);

// Channels of their own connection.
std::shared_ptr<grpc::Channel> Connect(const std::string& address);

// start(queue, context) -> reader, as the Async methods of a stub return it.
template <class Response, class Begin>
std::unique_ptr<PendingCall> StartTyped(grpc::CompletionQueue& queue, Begin begin) {
  auto call = std::make_unique<TypedCall<Response>>();
  call->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  call->start = std::chrono::steady_clock::now();
  call->reader = begin(call->context, queue);
  call->reader->Finish(&call->response, &call->status, static_cast<PendingCall*>(call.get()));
  return call;
}

}  // namespace relais::bench
