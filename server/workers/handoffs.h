// What happens to hand-offs without anybody asking: leads are handed over when their market's
// policy says so, what is pending for a disqualified lead is called off, and what nobody answers
// goes to the next owner.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "server/domain/clock.h"
#include "server/workers/reactor.h"
#include "storage/store.h"

namespace relais::workers {

// A lead that becomes a prospect, or whose score crosses the threshold, is handed over by
// commands::HandOverCommand; one that is disqualified loses its pending hand-off.
class HandoffReaction final : public Reaction {
 public:
  std::string_view name() const override { return "handoffs"; }
  std::vector<domain::EventType> types(const domain::Config& config) const override;
  std::vector<std::string> paths() const override;
  std::optional<Effect> React(const domain::Event& event,
                              const commands::Once& once) const override;
};

// Looks for overdue hand-offs and escalates them. Any number of servers may run it at once: whoever
// comes second finds a new due time and does nothing.
//
// Thread-safe. Store and clock outlive it.
class HandoffClock {
 public:
  HandoffClock(storage::Store& store, const domain::Clock& clock, domain::TenantId tenant);
  HandoffClock(const HandoffClock&) = delete;
  HandoffClock& operator=(const HandoffClock&) = delete;
  ~HandoffClock();  // Stop

  // Looks every `interval` on a thread of its own.
  void Start(std::chrono::milliseconds interval = std::chrono::seconds(1));
  void Stop();  // idempotent

  // Escalates everything that is overdue now; answers how many were looked at.
  absl::StatusOr<int> Step();

 private:
  void Run(std::chrono::milliseconds interval);
  absl::StatusOr<std::vector<domain::HandoffId>> Overdue();

  storage::Store& store_;
  const domain::Clock& clock_;
  const domain::TenantId tenant_;

  std::mutex step_mutex_;  // one step at a time
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace relais::workers
