#include "server/runtime/failpoint.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"

namespace relais::runtime {
namespace {

constexpr std::string_view kWriteDelay = "write_delay_us=";
constexpr int64_t kMostMicros = 1'000'000;

void Sleep(int64_t micros, int units) {
  if (micros > 0) std::this_thread::sleep_for(std::chrono::microseconds(micros) * units);
}

}  // namespace

absl::StatusOr<std::function<void(int units)>> WriteDelay(std::string_view failpoint) {
  absl::Status malformed = absl::InvalidArgumentError(
      Concat("'", failpoint, "' is neither ", kWriteDelay, "N with N up to ", kMostMicros, " nor ",
             kWriteDelay, "@PATH"));
  if (!failpoint.starts_with(kWriteDelay)) return malformed;
  failpoint.remove_prefix(kWriteDelay.size());
  if (failpoint.size() > 1 && failpoint.front() == '@') {
    return [path = std::string(failpoint.substr(1))](int units) {
      int64_t micros = 0;
      std::ifstream(path) >> micros;
      Sleep(std::min(micros, kMostMicros), units);
    };
  }
  int64_t micros = 0;
  if (!absl::SimpleAtoi(ToAbsl(failpoint), &micros) || micros < 0 || micros > kMostMicros) {
    return malformed;
  }
  return [micros](int units) { Sleep(micros, units); };
}

}  // namespace relais::runtime
