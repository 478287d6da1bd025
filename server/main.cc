// relaisd: reads the flags, serves until SIGTERM or SIGINT, stops in good order.
#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/flags.h"
#include "server/runtime/logging.h"
#include "server/runtime/shutdown.h"
#include "server/server.h"

int main(int argc, char** argv) {
  // Debian builds Abseil with its search for deadlocks on: a global graph, written at every lock
  // that gRPC takes.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  relais::runtime::StopSignal stop;
  absl::StatusOr<relais::runtime::Options> options = relais::OptionsFromCommandLine(argc, argv);
  absl::Status status = options.status();
  if (status.ok()) status = relais::runtime::StartLogging(options->log_level);
  std::unique_ptr<relais::Server> server;
  if (status.ok()) {
    absl::StatusOr<std::unique_ptr<relais::Server>> started = relais::Server::Start(*options);
    status = started.status();
    if (status.ok()) server = *std::move(started);
  }
  if (!status.ok()) {
    relais::runtime::StopLogging();
    std::cerr << "relaisd: " << status.message() << "\n";
    return 1;
  }
  for (size_t i = 0; i < options->listen.size(); ++i) {
    std::string at = options->listen[i];
    if (int port = server->ports()[i]) at.replace(at.rfind(':') + 1, at.npos, std::to_string(port));
    std::cout << "listening on " << at << std::endl;
  }
  stop.Wait();
  server->Shutdown();
  server.reset();
  relais::runtime::StopLogging();
  return 0;
}
