// Time and ids come from outside: everything that needs "now" or a new id is handed one of these.
#pragma once

#include <string>

#include "server/domain/value.h"

namespace relais::domain {

// Thread-safe. Wall-clock time in UTC; it may step back, so nothing relies on it for order.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Timestamp Now() const = 0;
};

// Thread-safe source of UUIDv7 texts (canonical, lower-case), increasing within a process.
class IdSource {
 public:
  virtual ~IdSource() = default;
  virtual std::string NewId() = 0;
};

}  // namespace relais::domain
