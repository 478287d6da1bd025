#include "server/services/feed_hub.h"

#include <algorithm>
#include <future>
#include <map>
#include <utility>

#include "absl/status/status.h"

namespace relais::services {
namespace {

using SteadyClock = std::chrono::steady_clock;

// A head that takes longer than this is not news; the waiters get their heartbeats meanwhile.
constexpr std::chrono::seconds kHeadDeadline{2};
// Commits come by the hundred in a second under load; one look at the head serves several.
constexpr std::chrono::milliseconds kLeastPause{2};

}  // namespace

FeedHub::FeedHub(storage::Store& store, FeedTiming timing)
    : store_(store),
      timing_(timing),
      subscription_(store.OnCommit([this] { Nudge(); })),
      thread_([this] { Run(); }) {}

FeedHub::~FeedHub() { Stop(); }

void FeedHub::Wait(Waiter waiter) {
  {
    std::lock_guard lock(mutex_);
    if (!stopping_) {
      waiters_.push_back(std::move(waiter));
      nudged_ = true;  // the head may have moved since the waiter looked
      changed_.notify_one();
      return;
    }
  }
  waiter.resume(Wake::kGone);
}

void FeedHub::Nudge() {
  std::lock_guard lock(mutex_);
  nudged_ = true;
  changed_.notify_one();
}

void FeedHub::Stop() {
  subscription_.reset();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

int64_t FeedHub::HeadOf(const domain::TenantId& tenant) {
  storage::Call call;
  call.tenant = tenant;
  call.method = "FeedHead";
  call.deadline = SteadyClock::now() + kHeadDeadline;
  auto number = std::make_shared<std::promise<int64_t>>();
  auto head = std::make_shared<int64_t>(-1);
  store_.Read(
      call,
      [head](storage::ReadTxn& txn) -> absl::Status {
        absl::StatusOr<storage::FeedHead> found = txn.Head();
        if (found.ok()) *head = found->number;
        return found.status();
      },
      [head, number](const absl::Status& status) { number->set_value(status.ok() ? *head : -1); });
  return number->get_future().get();
}

void FeedHub::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (waiters_.empty()) {
      changed_.wait(lock, [this] { return stopping_ || !waiters_.empty(); });
    } else {
      SteadyClock::time_point until = SteadyClock::now() + timing_.poll;
      for (const Waiter& waiter : waiters_) until = std::min(until, waiter.quiet_at);
      changed_.wait_until(lock, until, [this] { return stopping_ || nudged_; });
    }
    if (stopping_) break;
    nudged_ = false;

    std::map<domain::TenantId, int64_t> heads;
    for (const Waiter& waiter : waiters_) heads.emplace(waiter.call.tenant, -1);
    lock.unlock();
    for (auto& [tenant, head] : heads) head = HeadOf(tenant);
    lock.lock();

    std::vector<std::pair<Waiter, Wake>> woken;
    SteadyClock::time_point now = SteadyClock::now();
    std::erase_if(waiters_, [&](Waiter& waiter) {
      auto head = heads.find(waiter.call.tenant);
      bool gone = waiter.call.cancelled != nullptr && waiter.call.cancelled->load();
      bool news = head != heads.end() && head->second > waiter.after_number;
      bool quiet = now >= waiter.quiet_at;
      if (!gone && !news && !quiet) return false;
      woken.emplace_back(std::move(waiter), gone ? Wake::kGone : news ? Wake::kNews : Wake::kQuiet);
      return true;
    });
    lock.unlock();
    for (auto& [waiter, wake] : woken) waiter.resume(wake);
    if (!woken.empty()) std::this_thread::sleep_for(kLeastPause);
    lock.lock();
  }
  std::vector<Waiter> left = std::move(waiters_);
  waiters_.clear();
  lock.unlock();
  for (Waiter& waiter : left) waiter.resume(Wake::kGone);
}

}  // namespace relais::services
