// The Store of store.h over any Database: queues, writer threads, reader threads.
//
// A writer takes what waits of one tenant (tenants take turns) up to a limit and without a timer,
// so that a lonely unit costs no delay; it loads, runs the bodies, flushes and commits once.
//   - Long work has a queue of its own and is done slice by slice: on PostgreSQL by a thread and a
//     session of its own, on SQLite, which has one writer, by that writer between two batches.
//   - A call whose deadline would pass in the queue is refused when it comes; one that would be
//     late by now is dropped when its turn comes. Neither costs the database anything, so that
//     under overload all work done is work that somebody still waits for.
//   - A conflict reruns the batch once, then splits it in halves, down to single units. A unit that
//     is alone and was tried kMaxTries times is answered UNAVAILABLE.
//   - A lost connection before COMMIT reruns on a new session.
//   - A COMMIT without an answer is settled by the batch's own row: where it is there, the batch
//     was committed; where a new session can insert and commit it instead, the batch was not and
//     never will be, even if the server still works on it. Only then are callers answered.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "server/domain/clock.h"
#include "storage/engine/batch_map.h"
#include "storage/engine/config_cache.h"
#include "storage/engine/fair_mutex.h"
#include "storage/engine/fair_queue.h"
#include "storage/engine/session.h"
#include "storage/engine/session_pool.h"
#include "storage/engine/vault.h"
#include "storage/store.h"

namespace relais::storage {

class BatchStore final : public Store {
 public:
  // The database must be migrated. Clock, ids and config outlive the store.
  BatchStore(std::unique_ptr<Database> database, Vault vault, const domain::Clock& clock,
             domain::IdSource& ids, const domain::Config& config, const StoreOptions& options);
  ~BatchStore() override;

  void Write(Call call, Keys keys, Body body, Done done, bool validate_only, int units) override;
  void WriteSlices(Call call, Slices work, Done done, bool validate_only) override;
  void Read(Call call, ReadBody body, ReadDone done) override;
  void GetLead(Call call, domain::LeadId id, LeadDone done) override;
  void LookupLead(Call call, domain::IdentityKey key, LeadDone done) override;
  std::shared_ptr<void> OnCommit(std::function<void()> wake) override;
  absl::Status ReplaceSearchTerms(
      const domain::TenantId& tenant,
      absl::Span<const std::pair<domain::LeadId, std::vector<SearchTerm>>> leads,
      int64_t old_position, int64_t new_position) override;
  absl::StatusOr<int64_t> ReactionPosition(const domain::TenantId& tenant,
                                           std::string_view reaction) override;
  absl::StatusOr<int64_t> Sweep(const domain::TenantId& tenant, int limit) override;
  bool healthy() const override { return healthy_.load(); }
  void Stop() override;
  void PauseWrites() override;
  void ResumeWrites() override;

 private:
  struct Unit {
    Call call;
    Keys keys;
    Body body;
    Done done;
    bool validate_only = false;
    int weight = 1;
    int tries = 0;
    UnitIds ids;
    // Of the latest run.
    absl::Status status;
    size_t first_event = 0, event_count = 0;
  };
  using Units = std::vector<std::unique_ptr<Unit>>;
  // Long work: what has been done of it, and what is left.
  struct LongUnit {
    Call call;
    Slices work;
    Done done;
    bool validate_only = false;
    bool whole = false;  // may not be cut
    int weight = 1;      // of what is left
    int next = 0;        // first item that is not done
  };
  using LongUnits = std::vector<std::unique_ptr<LongUnit>>;
  // A queue, and what is known of how fast it empties.
  template <class T>
  struct Lane {
    Lane(int limit, int full, int writers) : queue(limit), pace(full, writers) {}
    FairQueue<T> queue;
    Pace pace;
    std::chrono::steady_clock::time_point next_sweep;
  };
  // What a writer is to do next.
  struct Turn {
    Units units;
    std::unique_ptr<LongUnit> long_unit;
    bool stop = false;
  };
  // What an ordinary writer does on this engine, and what a writer does that is there for long
  // work.
  enum class Duty { kBatches, kLongWork, kBoth };
  struct PointRead {
    Call call;
    std::variant<domain::LeadId, domain::IdentityKey> key;
    LeadDone done;
    int weight = 1;
  };
  using PointReads = std::vector<std::unique_ptr<PointRead>>;
  struct BodyRead {
    Call call;
    ReadBody body;
    ReadDone done;
    int weight = 1;
  };
  using BodyReads = std::vector<std::unique_ptr<BodyRead>>;
  enum class BatchEnd { kDone, kConflict, kLost, kUnknown, kFailed };

  void WriterLoop(Duty duty);
  void ReaderLoop();
  // Queues the item, or ends it with the reason why not.
  template <class T>
  void Admit(Lane<T>& lane, std::unique_ptr<T> item, std::condition_variable& ready);
  Turn NextTurn(Duty duty);
  void RunSlice(std::unique_ptr<LongUnit> unit);
  int SliceOf(const LongUnit& unit);
  // True when there was no batch for a while; under write_mutex_.
  static constexpr std::chrono::milliseconds kQuiet{250};
  bool Quiet() const { return std::chrono::steady_clock::now() - last_batch_ > kQuiet; }
  // Whether long work rests between its slices; under write_mutex_.
  bool Rests() const { return !one_writer_ && !Quiet(); }
  // The pause of the writer of long work after a slice.
  void Rest(std::chrono::steady_clock::duration after);
  template <class T>
  static void Drop(const std::vector<std::unique_ptr<T>>& items, int64_t retry_after_millis);
  // Queues the read, or ends it with the reason why not.
  template <class T>
  void AddRead(FairQueue<T>& queue, std::unique_ptr<T> read);
  absl::Status RunRead(const Call& call, const ReadBody& body);
  // Reads of one tenant, by at most two queries.
  void RunPointReads(const PointReads& reads);
  void ProbeLoop();
  void RunBatch(Units units);
  // One transaction for all units; on kDone every unit's status and place are set.
  BatchEnd TryBatch(std::unique_ptr<Session>& session, Units& units, const std::string& batch_id,
                    absl::Status& failure, std::vector<Committed>& places);
  absl::Status RunBody(Unit& unit, BatchMap& map, domain::Timestamp now,
                       const domain::Config& config, const LoadKeys& load);
  // Whether a batch whose COMMIT got no answer was committed: kDone, with the feed's last event, or
  // kLost; kUnknown when that cannot be learnt in time.
  BatchEnd Settle(const domain::TenantId& tenant, const std::string& batch_id, Committed& head);
  // The feed's last event: numbers that were lost with an answer are not behind it.
  static absl::Status ReadHead(Session& session, const domain::TenantId& tenant, Committed& head);
  // Owns the engine's one place for a writer, where there is but one.
  std::unique_lock<FairMutex> WritePlace();
  void Answer(Units& units, const std::vector<Committed>& places);
  static void Fail(Units& units, const absl::Status& status);
  void Wake();
  // Runs `body` in one write transaction on a session of its own, outside the queue.
  absl::Status Direct(const domain::TenantId& tenant,
                      const std::function<absl::Status(Session&)>& body);

  const std::unique_ptr<Database> database_;
  const Vault vault_;
  const domain::Clock& clock_;
  domain::IdSource& ids_;
  ConfigCache configs_;
  const StoreOptions options_;
  SessionPool writers_pool_;
  SessionPool readers_pool_;
  std::atomic<bool> healthy_{true};

  const bool one_writer_;  // the engine lets only one transaction write at a time
  std::mutex write_mutex_;
  std::condition_variable batch_ready_, long_ready_;
  Lane<Unit> batches_;
  Lane<LongUnit> long_work_;
  std::chrono::steady_clock::time_point last_batch_{};
  bool paused_ = false;
  bool stopping_ = false;

  // Held around each write transaction of an engine with one writer: waiting here ends with the
  // other's commit, waiting in the engine ends with a pause.
  FairMutex one_at_a_time_;

  std::mutex read_mutex_;
  std::condition_variable read_ready_;
  FairQueue<PointRead> point_reads_;
  FairQueue<BodyRead> body_reads_;
  std::chrono::steady_clock::time_point next_read_sweep_{};
  bool reads_stopping_ = false;

  std::mutex probe_mutex_;
  std::condition_variable probe_ready_;
  bool probe_stopping_ = false;

  std::mutex wake_mutex_;
  std::map<int64_t, std::function<void()>> wakes_;
  int64_t next_wake_ = 0;

  std::vector<std::thread> threads_;
  std::once_flag stopped_;
};

}  // namespace relais::storage
