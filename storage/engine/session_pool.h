// Idle sessions of one database and mode. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/engine/session.h"

namespace relais::storage {

class SessionPool {
 public:
  SessionPool(Database& database, TransactionMode mode) : database_(database), mode_(mode) {}

  // An idle session, or a new one. Never waits for another's: there are as many sessions as
  // threads.
  absl::StatusOr<std::unique_ptr<Session>> Take() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!idle_.empty()) {
        std::unique_ptr<Session> session = std::move(idle_.back());
        idle_.pop_back();
        return session;
      }
    }
    return database_.Open(mode_);
  }

  // Takes a session back; a broken one is dropped, and the idle ones with it: they were most likely
  // cut by the same cause.
  void Give(std::unique_ptr<Session> session) {
    std::vector<std::unique_ptr<Session>> dropped;
    std::lock_guard<std::mutex> lock(mutex_);
    if (session != nullptr && session->healthy()) {
      idle_.push_back(std::move(session));
    } else {
      dropped.swap(idle_);
    }
  }

 private:
  Database& database_;
  const TransactionMode mode_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Session>> idle_;
};

}  // namespace relais::storage
