// The one dynamic value of the domain: what a field of an entity holds when it is read by path
// (filters, change history, replay) instead of by member.
//
// Pure: no clock, no database, no protobuf. Values are ordinary copyable values and need no lock.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/domain/money.h"

namespace relais::domain {

// A moment in UTC, in microseconds since the Unix epoch: the precision of every stored time.
struct Timestamp {
  int64_t micros = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

inline constexpr int64_t kMicrosPerSecond = 1'000'000;
inline constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;

// Whole days since the epoch in UTC, rounded down (also before 1970).
constexpr int64_t DayOf(Timestamp t) {
  int64_t day = t.micros / kMicrosPerDay;
  return t.micros % kMicrosPerDay < 0 ? day - 1 : day;
}

class Value;
using ValueList = std::vector<Value>;
using ValueMap = std::map<std::string, Value>;

// Absent (monostate), boolean, 64-bit integer (enum fields: the number), text, time, money, list or
// map. An empty text, list or map and an unset optional are all stored as absent by the field
// tables, so that "absent" has one spelling.
class Value {
 public:
  using Variant = std::variant<std::monostate, bool, int64_t, std::string, Timestamp, Money,
                               ValueList, ValueMap>;

  Value() = default;
  Value(bool v) : v_(v) {}                      // NOLINT(google-explicit-constructor)
  Value(int64_t v) : v_(v) {}                   // NOLINT(google-explicit-constructor)
  Value(std::string v) : v_(std::move(v)) {}    // NOLINT(google-explicit-constructor)
  Value(const char* v) : v_(std::string(v)) {}  // NOLINT(google-explicit-constructor)
  Value(Timestamp v) : v_(v) {}                 // NOLINT(google-explicit-constructor)
  Value(Money v) : v_(std::move(v)) {}          // NOLINT(google-explicit-constructor)
  Value(ValueList v) : v_(std::move(v)) {}      // NOLINT(google-explicit-constructor)
  Value(ValueMap v) : v_(std::move(v)) {}       // NOLINT(google-explicit-constructor)

  bool absent() const { return std::holds_alternative<std::monostate>(v_); }
  const Variant& variant() const { return v_; }

  // Null when the value is of another kind.
  const bool* if_bool() const { return std::get_if<bool>(&v_); }
  const int64_t* if_int() const { return std::get_if<int64_t>(&v_); }
  const std::string* if_text() const { return std::get_if<std::string>(&v_); }
  const Timestamp* if_time() const { return std::get_if<Timestamp>(&v_); }
  const Money* if_money() const { return std::get_if<Money>(&v_); }
  const ValueList* if_list() const { return std::get_if<ValueList>(&v_); }
  const ValueMap* if_map() const { return std::get_if<ValueMap>(&v_); }
  // To move from.
  std::string* if_text() { return std::get_if<std::string>(&v_); }
  ValueList* if_list() { return std::get_if<ValueList>(&v_); }

  friend bool operator==(const Value&, const Value&) = default;

 private:
  Variant v_;
};

}  // namespace relais::domain
