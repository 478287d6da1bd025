// Load on a server: one thread, one completion queue, and either a fixed number of calls in flight
// or calls at a steady rate. The client shares the machine with what it measures, so it does no
// more than it must: requests are serialised ahead, calls take bytes, and replies stay bytes but
// for a sample that is read and checked.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace relais::bench {

// One method and what it is asked.
struct CallKind {
  grpc::GenericStub* stub = nullptr;
  std::string method;                    // "/package.Service/Method"
  std::function<std::string()> request;  // the next one, serialised
  bool again = false;                    // requests may be sent more than once
  std::chrono::seconds deadline{0};      // of each call; 0: the server's own
  // What is wrong with a reply; empty: nothing. Asked for the first and for every 1000th reply.
  std::function<std::string(const std::string& request, const std::string& reply)> check;
};

struct LoadPlan {
  int in_flight = 256;
  // Calls a second, however long the answers take (open loop); 0: `in_flight` calls at any time.
  double steady_rate = 0;
  std::chrono::milliseconds warm_up{500}, measured{3000};
  // Read as the measured time begins and as it ends; what they rose by, divided by the calls, is in
  // the result.
  std::function<double()> server_cpu, database_cpu;
};

struct LoadResult {
  double rate = 0;             // successful calls a second
  std::vector<double> micros;  // what each of them took, from sending to the answer
  int64_t ok = 0, failed = 0;  // a wrong answer has failed
  int64_t checked = 0;
  std::string first_error;
  double server_cpu = 0, database_cpu = 0, client_cpu = 0;  // microseconds a successful call
};

// One kind is used after another, in turn: with a stub of its own each, the load is spread evenly.
// Failures of the warm-up count, too.
LoadResult RunLoad(const LoadPlan& plan, const std::vector<CallKind>& kinds);

// Channels of their own connection.
std::shared_ptr<grpc::Channel> Connect(const std::string& address);

}  // namespace relais::bench
