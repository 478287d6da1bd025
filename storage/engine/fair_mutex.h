// A mutex that is taken in the order of asking: one thread that takes it again and again does not
// keep the others out. For std::unique_lock and std::lock_guard.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace relais::storage {

class FairMutex {
 public:
  void lock() {
    std::unique_lock<std::mutex> guard(mutex_);
    const uint64_t ticket = next_++;
    turn_.wait(guard, [&] { return served_ == ticket; });
  }

  void unlock() {
    {
      std::lock_guard<std::mutex> guard(mutex_);
      ++served_;
    }
    turn_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable turn_;
  uint64_t next_ = 0;    // ticket of who asks next
  uint64_t served_ = 0;  // ticket of who may go
};

}  // namespace relais::storage
