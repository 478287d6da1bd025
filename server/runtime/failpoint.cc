#include "server/runtime/failpoint.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"

namespace relais::runtime {
namespace {

constexpr std::string_view kWriteDelay = "write_delay_us=";
constexpr int64_t kMostMicros = 1'000'000;

// A disk that several threads wait for: it serves one at a time.
class Disk {
 public:
  void Serve(int64_t micros, int units) {
    if (micros <= 0) return;
    std::lock_guard<std::mutex> lock(mutex_);
    std::this_thread::sleep_for(std::chrono::microseconds(micros) * units);
  }

 private:
  std::mutex mutex_;
};

}  // namespace

absl::StatusOr<std::function<void(int units)>> WriteDelay(std::string_view failpoint) {
  absl::Status malformed = absl::InvalidArgumentError(
      Concat("'", failpoint, "' is neither ", kWriteDelay, "N with N up to ", kMostMicros, " nor ",
             kWriteDelay, "@PATH"));
  if (!failpoint.starts_with(kWriteDelay)) return malformed;
  failpoint.remove_prefix(kWriteDelay.size());
  auto disk = std::make_shared<Disk>();
  if (failpoint.size() > 1 && failpoint.front() == '@') {
    return [disk, path = std::string(failpoint.substr(1))](int units) {
      int64_t micros = 0;
      std::ifstream(path) >> micros;
      disk->Serve(std::min(micros, kMostMicros), units);
    };
  }
  int64_t micros = 0;
  if (!absl::SimpleAtoi(ToAbsl(failpoint), &micros) || micros < 0 || micros > kMostMicros) {
    return malformed;
  }
  return [disk, micros](int units) { disk->Serve(micros, units); };
}

}  // namespace relais::runtime
