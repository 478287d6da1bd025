// Where streams wait for the feed to move: one thread asks for the head on behalf of all of them,
// right after a commit of this server and every poll interval for those of others.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "storage/store.h"

namespace relais::services {

struct FeedTiming {
  std::chrono::milliseconds poll{200};
  std::chrono::milliseconds heartbeat{10'000};  // silence after which a stream says that it lives
};

// Thread-safe. The store outlives it.
class FeedHub {
 public:
  enum class Wake {
    kNews,   // the head is past `after_number`
    kQuiet,  // `quiet_at` has come
    kGone,   // the caller went away, or the hub stops: end the stream
  };
  struct Waiter {
    storage::Call call;
    int64_t after_number = 0;
    std::chrono::steady_clock::time_point quiet_at;
    std::function<void(Wake)> resume;  // must not block
  };

  FeedHub(storage::Store& store, FeedTiming timing);
  FeedHub(const FeedHub&) = delete;
  FeedHub& operator=(const FeedHub&) = delete;
  ~FeedHub();

  const FeedTiming& timing() const { return timing_; }

  // Calls `resume` exactly once, on the hub's thread (or at once on the caller's, with kGone, after
  // Stop).
  void Wait(Waiter waiter);
  // Looks again soon: at the head, and at who went away.
  void Nudge();
  // Wakes everybody with kGone and ends the thread. Idempotent.
  void Stop();

 private:
  void Run();
  // The head of a tenant's feed; -1 when storage does not answer.
  int64_t HeadOf(const domain::TenantId& tenant);

  storage::Store& store_;
  const FeedTiming timing_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Waiter> waiters_;
  bool nudged_ = false;
  bool stopping_ = false;
  std::shared_ptr<void> subscription_;
  std::thread thread_;
};

}  // namespace relais::services
