#include "server/workers/sweeper.h"

#include <utility>

#include "absl/status/status.h"
#include "server/domain/concat.h"
#include "server/runtime/logging.h"

namespace relais::workers {
namespace {

// A sweep is short transactions with pauses between them, so that writers hardly notice.
constexpr int kRowsAtATime = 1'000;
constexpr std::chrono::milliseconds kPause{100};

}  // namespace

Sweeper::Sweeper(storage::Store& store, domain::TenantId tenant, std::chrono::milliseconds interval)
    : store_(store), tenant_(std::move(tenant)), interval_(interval), thread_([this] { Run(); }) {}

Sweeper::~Sweeper() { Stop(); }

void Sweeper::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Sweeper::Run() {
  std::unique_lock lock(mutex_);
  auto stopped_within = [&](std::chrono::milliseconds time) {
    return changed_.wait_for(lock, time, [this] { return stopping_; });
  };
  while (!stopping_) {
    bool more = true;
    while (more && !stopping_) {
      lock.unlock();
      absl::StatusOr<int64_t> swept = store_.Sweep(tenant_, kRowsAtATime);
      lock.lock();
      if (!swept.ok()) {
        runtime::LogWarning(Concat("sweep put off: ", FromAbsl(swept.status().message())));
        break;
      }
      more = *swept > 0;
      if (more && stopped_within(kPause)) return;
    }
    if (stopped_within(interval_)) return;
  }
}

}  // namespace relais::workers
