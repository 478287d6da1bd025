// What a session of either engine remembers of its transaction and of its connection.
//
// Not thread-safe, like the session it belongs to.
#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "storage/engine/session.h"

namespace relais::storage {

class TransactionState {
 public:
  bool idle() const { return state_ == State::kIdle; }
  bool open() const { return state_ == State::kOpen; }
  bool healthy() const { return healthy_; }
  // Why the latest transaction failed; OK when it did not.
  const absl::Status& failure() const { return failure_; }

  // OK in an open transaction; the failure in one that failed.
  absl::Status Usable() const {
    if (state_ == State::kFailed) return failure_;
    if (state_ == State::kIdle) return absl::InternalError("a statement outside of a transaction");
    return absl::OkStatus();
  }

  void Opened() {
    state_ = State::kOpen;
    failure_ = absl::OkStatus();
  }
  void Closed() { state_ = State::kIdle; }
  // Kills the transaction with `status`, and the session unless it is a conflict. Returns it.
  absl::Status Fail(absl::Status status) {
    state_ = State::kFailed;
    failure_ = std::move(status);
    if (!IsConflict(failure_)) healthy_ = false;
    return failure_;
  }
  void MarkLost() { healthy_ = false; }

 private:
  enum class State : uint8_t { kIdle, kOpen, kFailed };

  State state_ = State::kIdle;
  absl::Status failure_;
  bool healthy_ = true;
};

}  // namespace relais::storage
