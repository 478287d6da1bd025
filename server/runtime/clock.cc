#include "server/runtime/clock.h"

#include <openssl/rand.h>

#include <chrono>
#include <cstdlib>

namespace relais::runtime {
namespace {

constexpr uint64_t kLowMask = (uint64_t{1} << 62) - 1;
constexpr uint16_t kHighMask = (1 << 12) - 1;

void AppendHex(std::string& out, uint64_t bits, int digits) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kDigits[(bits >> shift) & 0xf];
}

}  // namespace

domain::Timestamp SystemClock::Now() const {
  auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count()};
}

uint64_t Uuid7Source::Random() {
  if (pool_left_ == 0) {
    // Without random bytes ids could collide with another server's: there is nothing to go on with.
    if (RAND_bytes(reinterpret_cast<unsigned char*>(pool_.data()), sizeof pool_) != 1) std::abort();
    pool_left_ = pool_.size();
  }
  return pool_[--pool_left_];
}

std::string Uuid7Source::NewId() {
  uint64_t now = static_cast<uint64_t>(clock_.Now().micros / 1000);
  std::lock_guard lock(mutex_);
  if (now > millis_) {
    millis_ = now;
    high_ = static_cast<uint16_t>(Random() & (kHighMask >> 1));  // top bit free for steps
    low_ = Random() & kLowMask;
  } else {
    low_ += 1 + (Random() & 0xffffffff);
    if (low_ > kLowMask) {
      low_ &= kLowMask;
      if (++high_ > kHighMask) {
        high_ = 0;
        ++millis_;
      }
    }
  }
  std::string id;
  id.reserve(36);
  AppendHex(id, millis_ >> 16, 8);
  id += '-';
  AppendHex(id, millis_ & 0xffff, 4);
  id += '-';
  AppendHex(id, 0x7000u | high_, 4);
  id += '-';
  AppendHex(id, 0x8000u | (low_ >> 48), 4);
  id += '-';
  AppendHex(id, low_ & 0xffffffffffff, 12);
  return id;
}

}  // namespace relais::runtime
