// Keeps scores right where nothing happens to a lead: refreshes those that the passing of days has
// changed, and carries out the rescoring of the whole base (operations of kind "rescore").
//
// Both go slice by slice beside the batches (Store::WriteSlices), so captures hardly notice; both
// may run on any number of servers at once: a lead that another server has refreshed is passed
// over, and a slice of an operation is kept by whoever finds the operation where it left it. What
// an operation has done is kept with each slice, so that a restart goes on from there.
//
// A day of scores begins at midnight UTC (server/domain/scoring.h). A lead that became due then is
// refreshed within `poll` and the time that the due ones before it take.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/commands/commands.h"
#include "server/domain/ids.h"
#include "storage/store.h"

namespace relais::workers {

// Thread-safe. The store outlives it; what is due is the store's to say, by its own clock.
class ScoreKeeper {
 public:
  // Looks for work every `poll`.
  ScoreKeeper(storage::Store& store, domain::TenantId tenant,
              std::chrono::milliseconds poll = std::chrono::seconds(5));
  ScoreKeeper(const ScoreKeeper&) = delete;
  ScoreKeeper& operator=(const ScoreKeeper&) = delete;
  ~ScoreKeeper();

  // Returns once all that was due and asked for before the call is done, or with the error that
  // stands in the way.
  absl::Status DrainForTest();
  // Ends the thread; what is under way goes on after a restart. Idempotent.
  void Stop();

 private:
  void Run();
  // One page of either kind of work; answers whether there was any.
  absl::StatusOr<bool> Step();
  absl::StatusOr<bool> Refresh();
  absl::StatusOr<bool> Rescore();
  absl::Status Read(const storage::ReadBody& body);
  absl::Status Write(const char* method, storage::Slices work);
  absl::Status Fail(const domain::Operation& operation, const absl::Status& why);

  storage::Store& store_;
  const domain::TenantId tenant_;
  const std::chrono::milliseconds poll_;
  std::mutex step_mutex_;  // one step at a time

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace relais::workers
