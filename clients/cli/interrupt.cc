#include <csignal>

#include "clients/cli/commands.h"

namespace relais::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

bool Interrupted() { return interrupted != 0; }

void CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted = 1; };
  // The second signal ends the process at once.
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace relais::cli
