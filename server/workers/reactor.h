// The worker behind every reaction: reads the feed of a tenant in order and does, event by event,
// what the reaction says.
//
//   - Each effect is an ordinary unit whose request id is made of the event's number, written by a
//     principal of the reaction's own: however often an event is read, its effect happens once.
//   - The position is kept after the effects, so that what was not finished is done again.
//   - A lease in the reaction's row gives one worker per tenant and reaction; whoever takes it over
//     raises its fence, and a position kept under an older fence is refused. The lease is taken
//     when there is something to do, so that an idle server writes nothing.
//   - What the reaction wrote itself is passed over.
// An effect that is refused (a lead that was disqualified meanwhile, nobody to give it to) is
// counted, logged and left; one that could not be done is tried again, and nothing behind its page
// is, until it is done.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/commands/commands.h"
#include "server/domain/clock.h"
#include "server/domain/config.h"
#include "server/domain/event.h"
#include "server/domain/ids.h"
#include "server/runtime/metrics.h"
#include "storage/store.h"

namespace relais::workers {

// One unit of work about an event.
struct Effect {
  std::string method;  // recorded as the trigger of its events
  storage::Keys keys;
  storage::Body body;
};

// The right of whoever has the lease to act for the reaction.
struct Fence {
  std::string reaction;
  int64_t number = 0;
};
// FAILED_PRECONDITION when another worker has taken the lease since. The unit's keys name
// Keys::Reaction(fence.reaction).
absl::Status CheckFence(storage::WriteTxn& tx, const Fence& fence);

// What is to be done about events. Used by one thread at a time.
class Reaction {
 public:
  virtual ~Reaction() = default;
  // A short word: the reaction's row, its principal "reactions/{name}" and its label in metrics.
  virtual std::string_view name() const = 0;
  // The types that it looks at, and the paths that it reads of their changes (none personal).
  virtual std::vector<domain::EventType> types(const domain::Config& config) const = 0;
  virtual std::vector<std::string> paths() const = 0;
  // `event` is in outline (storage::EventQuery::only_paths). `once` is for the body to remember.
  virtual std::optional<Effect> React(const domain::Event& event,
                                      const commands::Once& once) const = 0;

  // A reaction to whole pages says so and does the work itself, in units that check the fence;
  // React is then asked only whether an event concerns it.
  virtual bool by_pages() const { return false; }
  virtual absl::Status ReactToPage(absl::Span<const domain::Event> /*events*/,
                                   const Fence& /*fence*/) {
    return absl::OkStatus();
  }
  // The lease was taken anew: what others may have done since is not known.
  virtual void Begin() {}
  // Work that no event asks for: whether there is some now, and a part of it, short enough for the
  // events that come meanwhile.
  virtual bool wants_to_tend(domain::Timestamp /*now*/) { return false; }
  virtual absl::Status Tend(const Fence& /*fence*/) { return absl::OkStatus(); }
};

struct ReactorOptions {
  domain::TenantId tenant{"default"};
  std::string owner;  // a name of this server's own, the same for all its workers
  std::chrono::milliseconds poll{200};
  std::chrono::seconds lease{10};
  // Tests: called when the effects of a page are committed and its position is not. An error ends
  // the step as a crash would.
  std::function<absl::Status()> before_keep;
};

// Thread-safe. Everything that is handed in outlives it.
class Reactor {
 public:
  Reactor(storage::Store& store, const domain::Clock& clock, runtime::Metrics& metrics,
          std::unique_ptr<Reaction> reaction, ReactorOptions options);
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;
  ~Reactor();  // Stop

  // Follows the feed on a thread of its own: soon after commits of this store, and every `poll`
  // for those of other servers.
  void Start();
  // Ends the thread and gives the lease back. Idempotent.
  void Stop();

  // One page; answers whether to go on at once. FAILED_PRECONDITION when another worker has the
  // lease; otherwise what stands in the way.
  absl::StatusOr<bool> Step();
  // Steps until everything committed before the call is dealt with.
  absl::Status Drain();

 private:
  struct Page {
    std::vector<domain::Event> events;
    int64_t up_to = 0;
    bool more = false;
  };

  void Run();
  storage::Call CallOf(std::string method) const;
  // Runs a unit and waits for its end.
  absl::Status Write(std::string method, storage::Keys keys, storage::Body body);
  absl::StatusOr<Page> ReadPage();
  // Takes the lease or makes it longer, and learns the position on the way.
  absl::Status TakeLease();
  absl::Status KeepPosition(int64_t position);
  absl::Status ReactTo(const Page& page);
  // Commits the effects of a page.
  absl::Status React(const Page& page);
  absl::Status CountRefusal(const domain::Event& event, const absl::Status& status);

  storage::Store& store_;
  const domain::Clock& clock_;
  runtime::Metrics& metrics_;
  const std::unique_ptr<Reaction> reaction_;
  const ReactorOptions options_;
  const std::string name_, principal_;

  std::mutex step_mutex_;         // one step at a time
  bool position_known_ = false;   // false: read it from storage before the next step
  std::optional<int64_t> fence_;  // of the lease that this worker has
  domain::Timestamp lease_until_;
  int64_t kept_ = 0;  // the position in storage, as far as it is known
  int64_t seen_ = 0;  // nothing up to here is left to do
  int failures_ = 0;  // of the same page

  std::mutex mutex_;
  std::condition_variable changed_;
  bool nudged_ = true;
  bool stopping_ = false;
  std::shared_ptr<void> subscription_;
  std::thread thread_;
};

// The request id of what a reaction does about an event: the number, as a UUID.
std::string RequestIdOf(int64_t event_number);

}  // namespace relais::workers
