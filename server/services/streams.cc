#include "server/services/streams.h"

#include "server/domain/faults.h"

namespace relais::services {
namespace {

// When a refused watcher should try again, in milliseconds: places become free when streams end,
// which takes longer than a queue takes to drain.
constexpr int64_t kWatcherRetryMillis = 5'000;
// When a stream that was ended by a stop should be taken up again, in milliseconds.
constexpr int64_t kStopRetryMillis = 500;

}  // namespace

absl::Status ShuttingDown() {
  return domain::ToStatus({.code = absl::StatusCode::kUnavailable,
                           .reason = "SHUTTING_DOWN",
                           .message = "the server is stopping; go on where this stream ended",
                           .retry_after_millis = kStopRetryMillis});
}

Streams::Member::Member(Streams& streams, std::function<void()> soon)
    : streams_(streams), soon_(std::move(soon)) {
  std::lock_guard lock(streams.mutex_);
  streams.members_.push_back(this);
}

Streams::Member::~Member() {
  std::lock_guard lock(streams_.mutex_);
  std::erase(streams_.members_, this);
}

bool Streams::EnterWatcher() {
  if (watchers_.fetch_add(1) < max_watchers_) return true;
  watchers_.fetch_sub(1);
  return false;
}

void Streams::LeaveWatcher() { watchers_.fetch_sub(1); }

void Streams::Drain() {
  draining_.store(true);
  std::vector<std::function<void()>> all;
  {
    std::lock_guard lock(mutex_);
    for (const Member* member : members_) all.push_back(member->soon_);
  }
  for (const auto& soon : all) soon();
}

WatcherPlace::~WatcherPlace() {
  if (edge_ == nullptr) return;
  edge_->streams.LeaveWatcher();
  edge_->metrics.watchers().Decrement();
}

absl::Status WatcherPlace::Take(const Edge& edge) {
  if (!edge.streams.EnterWatcher()) return domain::Overloaded(kWatcherRetryMillis);
  edge.metrics.watchers().Increment();
  edge_ = &edge;
  return absl::OkStatus();
}

}  // namespace relais::services
