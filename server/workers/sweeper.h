// Housekeeping: what the log of requests no longer needs is deleted, a little at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/domain/ids.h"
#include "storage/store.h"

namespace relais::workers {

// Thread-safe. The store outlives it; how old is old is the store's to say, by its own clock.
class Sweeper {
 public:
  // Sweeps at the start and then once every `interval`.
  Sweeper(storage::Store& store, domain::TenantId tenant,
          std::chrono::milliseconds interval = std::chrono::hours(1));
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;
  ~Sweeper();
  // Ends the thread. Idempotent.
  void Stop();

 private:
  void Run();

  storage::Store& store_;
  const domain::TenantId tenant_;
  const std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace relais::workers
