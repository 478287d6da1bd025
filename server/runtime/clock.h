// The real clock and the real source of ids, handed to everything that needs one.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>

#include "server/domain/clock.h"

namespace relais::runtime {

// Thread-safe. The machine's wall clock.
class SystemClock : public domain::Clock {
 public:
  domain::Timestamp Now() const override;
};

// Thread-safe. UUIDv7 (RFC 9562, method 2): 48 bits of Unix milliseconds from the clock, then 74
// random bits that are raised by a random step for every further id of the same millisecond, or of
// a clock that stepped back. So ids of one source strictly increase and cannot be guessed.
class Uuid7Source : public domain::IdSource {
 public:
  explicit Uuid7Source(const domain::Clock& clock) : clock_(clock) {}
  std::string NewId() override;

 private:
  uint64_t Random();  // requires mutex_

  const domain::Clock& clock_;
  std::mutex mutex_;
  uint64_t millis_ = 0;
  uint16_t high_ = 0;  // 12 bits: rand_a
  uint64_t low_ = 0;   // 62 bits: rand_b
  std::array<uint64_t, 64> pool_{};
  size_t pool_left_ = 0;
};

}  // namespace relais::runtime
