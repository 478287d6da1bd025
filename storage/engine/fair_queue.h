// What waits for a writer: bounded, fair between tenants, and no longer than its callers wait.
//
// FairQueue keeps items first in, first out within a tenant; tenants take turns. The sum of weights
// is bounded, and a tenant may hold at most kShare times the room that is left: alone it gets seven
// eighths of the queue, two get seven fifteenths each, and a newcomer always finds room however
// hard the others push.
//
// Pace estimates how long a backlog takes. Only full batches teach it, since only they say what a
// unit costs when many wait; so it is exact when it matters, and not asked when it does not.
//
// Neither is thread-safe, and neither reads a clock: the time is given.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/store.h"

namespace relais::storage {

// True when nobody waits for the call's answer any more.
inline bool Expired(const Call& call, std::chrono::steady_clock::time_point now) {
  return now >= call.deadline ||
         (call.cancelled != nullptr && call.cancelled->load(std::memory_order_relaxed));
}

// T has the members `Call call` and `int weight` (at least 1), which must not change while it
// waits.
template <class T>
class FairQueue {
 public:
  using Item = std::unique_ptr<T>;
  using Items = std::vector<Item>;
  using Time = std::chrono::steady_clock::time_point;

  explicit FairQueue(int limit) : limit_(std::max(1, limit)) {}

  bool empty() const { return turns_.empty(); }
  int weight() const { return weight_; }

  // Whether there is room for the item: all of it or none. An empty queue takes an item of any
  // weight, or it could never be taken.
  bool Admits(const T& item) const {
    if (empty()) return true;
    const int64_t left = limit_ - weight_;
    if (item.weight > left) return false;
    auto own = tenants_.find(item.call.tenant.value);
    return own == tenants_.end() || own->second.weight + item.weight <= kShare * left;
  }

  // The weight that goes before the item were it added, when each turn takes up to `full`: its
  // tenant's, and of the others what their turns take until then. As long as the list of tenants.
  int Ahead(const T& item, int full) const {
    auto own = tenants_.find(item.call.tenant.value);
    const int64_t before = own == tenants_.end() ? 0 : own->second.weight;
    const int64_t turns = (before + item.weight + full - 1) / full;
    int64_t ahead = before;
    for (auto other = tenants_.begin(); other != tenants_.end(); ++other) {
      if (other != own) ahead += std::min(other->second.weight, turns * full);
    }
    return static_cast<int>(ahead);
  }

  void Add(Item item) { Insert(std::move(item), /*first=*/false); }
  // Puts back what was taken and is not finished: before its tenant's others, after their turn.
  void PutBack(Item item) { Insert(std::move(item), /*first=*/true); }

  // Items of the tenant whose turn it is, up to `max_weight`, but always one when there is one.
  // What nobody waits for, and what would be late if it took until `done_by`, is added to `dropped`
  // instead and counts for nothing. Empty when all that waited was dropped.
  Items Take(int max_weight, Time now, Time done_by, Items& dropped) {
    Items taken;
    while (taken.empty() && !turns_.empty()) {
      std::string name = std::move(turns_.front());
      turns_.pop_front();
      auto tenant = tenants_.find(name);
      std::deque<Item>& items = tenant->second.items;
      int weight = 0;
      while (!items.empty()) {
        Item& next = items.front();
        const bool late = done_by > next->call.deadline || Expired(next->call, now);
        if (!late && !taken.empty() && weight + next->weight > max_weight) break;
        if (!late) weight += next->weight;
        tenant->second.weight -= next->weight;
        weight_ -= next->weight;
        (late ? dropped : taken).push_back(std::move(next));
        items.pop_front();
      }
      if (items.empty()) {
        tenants_.erase(tenant);
      } else {
        turns_.push_back(std::move(name));
      }
    }
    return taken;
  }

  // Takes out everything that nobody waits for.
  Items Sweep(Time now) {
    Items gone;
    for (auto turn = turns_.begin(); turn != turns_.end();) {
      auto tenant = tenants_.find(*turn);
      std::deque<Item> left;
      for (Item& item : tenant->second.items) {
        if (!Expired(item->call, now)) {
          left.push_back(std::move(item));
          continue;
        }
        tenant->second.weight -= item->weight;
        weight_ -= item->weight;
        gone.push_back(std::move(item));
      }
      tenant->second.items.swap(left);
      if (tenant->second.items.empty()) {
        tenants_.erase(tenant);
        turn = turns_.erase(turn);
      } else {
        ++turn;
      }
    }
    return gone;
  }

 private:
  static constexpr int64_t kShare = 7;

  struct Tenant {
    std::deque<Item> items;
    int64_t weight = 0;
  };

  void Insert(Item item, bool first) {
    const std::string& name = item->call.tenant.value;
    Tenant& tenant = tenants_[name];
    if (tenant.items.empty()) turns_.push_back(name);
    tenant.weight += item->weight;
    weight_ += item->weight;
    if (first) {
      tenant.items.push_front(std::move(item));
    } else {
      tenant.items.push_back(std::move(item));
    }
  }

  const int limit_;
  int weight_ = 0;
  std::map<std::string, Tenant> tenants_;  // those with waiting items
  std::list<std::string> turns_;           // the same, next first
};

class Pace {
 public:
  using Duration = std::chrono::steady_clock::duration;

  // `full` is the weight of a full batch, `writers` how many run at a time.
  Pace(int full, int writers) : full_(std::max(1, full)), writers_(std::max(1, writers)) {}

  // A batch of `weight` was done, and the writer was ready for the next one, after `took`.
  void Learn(int weight, Duration took) {
    if (2 * weight < full_) return;
    const double now = std::chrono::duration<double>(took).count() / weight;
    seconds_ += kWeightOfNews * (now - seconds_);
  }

  // Until a backlog of `weight` is written.
  Duration Wait(int weight) const { return Seconds(seconds_ * weight / writers_); }
  // A full batch from being taken to its end.
  Duration Batch() const { return Seconds(seconds_ * full_); }
  int full() const { return full_; }
  // True when more waits than the next batches take.
  bool Behind(int weight) const { return weight > full_ * writers_; }

 private:
  static constexpr double kWeightOfNews = 0.3;
  static constexpr double kFirstGuess = 0.000'25;

  static Duration Seconds(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  }

  const int full_, writers_;
  double seconds_ = kFirstGuess;  // of one writer, for one unit of a full batch
};

}  // namespace relais::storage
