#include "tests/bench/load.h"

#include "tests/bench/child.h"

namespace relais::bench {

using std::chrono::steady_clock;

// A server that is gone refuses thousands of calls a second: no use in going on.
constexpr int64_t kFailuresAtMost = 100;

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

LoadResult RunLoad(const LoadPlan& plan, const std::vector<StartCall>& starts) {
  LoadResult result;
  grpc::CompletionQueue queue;
  size_t turn = 0;
  int under_way = 0;
  auto start = [&] {
    // Owned by the queue from here: it comes back as a tag.
    static_cast<void>(starts[turn++ % starts.size()](queue).release());
    ++under_way;
  };
  auto read = [](const std::function<double()>& cpu) { return cpu ? cpu() : 0.0; };

  const auto begin = steady_clock::now() + plan.warm_up;
  auto end = begin + plan.measured;
  auto measured_from = begin;
  bool measuring = false, finished = false;
  double server = 0, database = 0, client = 0;
  for (int i = 0; i < plan.in_flight; ++i) start();
  while (under_way > 0) {
    void* tag = nullptr;
    bool ok = false;
    if (!queue.Next(&tag, &ok)) break;
    std::unique_ptr<PendingCall> call(static_cast<PendingCall*>(tag));
    --under_way;
    const auto now = steady_clock::now();
    if (!measuring && now >= begin) {
      measuring = true;
      server = read(plan.server_cpu);
      database = read(plan.database_cpu);
      client = OwnCpuMicros();
      measured_from = steady_clock::now();
      end = measured_from + plan.measured;
    } else if (measuring && !finished) {
      if (call->status.ok()) {
        ++result.ok;
        result.micros.push_back(
            std::chrono::duration<double, std::micro>(now - call->start).count());
      } else {
        ++result.failed;
        if (result.first_error.empty()) result.first_error = call->status.error_message();
      }
      if (now >= end) {
        finished = true;
        result.rate = static_cast<double>(result.ok) /
                      std::chrono::duration<double>(now - measured_from).count();
        if (result.ok > 0) {
          const auto calls = static_cast<double>(result.ok);
          result.server_cpu = (read(plan.server_cpu) - server) / calls;
          result.database_cpu = (read(plan.database_cpu) - database) / calls;
          result.client_cpu = (OwnCpuMicros() - client) / calls;
        }
      }
    }
    if (result.failed >= kFailuresAtMost) finished = true;
    if (!finished) start();
  }
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
  return result;
}

}  // namespace relais::bench
