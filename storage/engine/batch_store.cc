#include "storage/engine/batch_store.h"

#include <algorithm>
#include <exception>
#include <random>
#include <set>
#include <utility>

#include "server/domain/concat.h"
#include "storage/engine/flush.h"
#include "storage/engine/load.h"
#include "storage/engine/read_txn.h"
#include "storage/engine/search.h"
#include "storage/sql/tables.h"

namespace relais::storage {
namespace {

using std::chrono::steady_clock;

constexpr int kMaxTries = 5;                // runs of one unit before UNAVAILABLE
constexpr int kMaxPointReads = 256;         // leads in one query
constexpr int64_t kRetryAfterMillis = 200;  // told when nobody knows how long it takes
constexpr int64_t kLeastRetryMillis = 50;   // told when the backlog takes less
constexpr int64_t kMostRetryMillis = 30'000;
constexpr auto kSweepPause = std::chrono::milliseconds(20);  // between two looks at a full queue
// A call is let in when it would wait at most this part of the time that it has.
constexpr int kPatience = 2;
// A slice delays no batch of another session but for the feed's counter, which it holds at its end,
// so it may be longer when there was no batch for a while.
constexpr int kQuietSlices = 5;
constexpr int kRest = 3;  // times what a slice took, between two of them while batches are written
constexpr auto kMostRest = std::chrono::milliseconds(50);
constexpr int kLeastSlice = 8;       // items
constexpr size_t kSearchSlice = 32;  // leads of the search index in one transaction on SQLite
constexpr auto kSettleTime = std::chrono::seconds(5);  // to learn a commit's outcome at the most
constexpr auto kSettlePause = std::chrono::milliseconds(50);
const domain::TenantId kProbeTenant("default");
constexpr int64_t kRequestLogMicros = 7 * domain::kMicrosPerDay;  // contract: kept for 7 days

bool Expired(const Call& call) { return Expired(call, steady_clock::now()); }

int64_t RetryAfterMillis(Pace::Duration wait) {
  return std::clamp<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(wait).count(),
                             kLeastRetryMillis, kMostRetryMillis);
}

StoreOptions Checked(StoreOptions options, bool one_writer) {
  options.max_batch = std::max(1, options.max_batch);
  options.writer_threads = one_writer ? 1 : std::max(1, options.writer_threads);
  options.reader_threads = std::max(1, options.reader_threads);
  return options;
}

}  // namespace

BatchStore::BatchStore(std::unique_ptr<Database> database, Vault vault, const domain::Clock& clock,
                       domain::IdSource& ids, const domain::Config& config,
                       const StoreOptions& options)
    : database_(std::move(database)),
      vault_(std::move(vault)),
      clock_(clock),
      ids_(ids),
      configs_(config),
      options_(Checked(options, database_->dialect() == Dialect::kSqlite)),
      writers_pool_(*database_, TransactionMode::kWrite),
      readers_pool_(*database_, TransactionMode::kRead),
      one_writer_(database_->dialect() == Dialect::kSqlite),
      batches_(options_.max_queued_units, options_.max_batch, options_.writer_threads),
      // Every slice teaches what an item takes.
      long_work_(options_.max_queued_items, /*full=*/1, /*writers=*/1),
      point_reads_(options_.max_queued_reads),
      body_reads_(options_.max_queued_reads) {
  for (int i = 0; i < options_.writer_threads; ++i) {
    threads_.emplace_back([this] { WriterLoop(one_writer_ ? Duty::kBoth : Duty::kBatches); });
  }
  if (!one_writer_) threads_.emplace_back([this] { WriterLoop(Duty::kLongWork); });
  for (int i = 0; i < options_.reader_threads; ++i) {
    threads_.emplace_back([this] { ReaderLoop(); });
  }
  threads_.emplace_back([this] { ProbeLoop(); });
}

BatchStore::~BatchStore() { Stop(); }

// ---- queues -----------------------------------------------------------------------------------

void BatchStore::Write(Call call, Keys keys, Body body, Done done, bool validate_only, int units) {
  if (units > options_.max_batch) {
    auto unit = std::make_unique<LongUnit>();
    unit->call = std::move(call);
    unit->work.items = units;
    unit->work.keys = [keys = std::move(keys)](int, int) { return keys; };
    unit->work.body = [body = std::move(body)](WriteTxn& txn, int, int) { return body(txn); };
    unit->done = std::move(done);
    unit->validate_only = validate_only;
    unit->whole = true;
    unit->weight = units;
    Admit(long_work_, std::move(unit), one_writer_ ? batch_ready_ : long_ready_);
    return;
  }
  auto unit = std::make_unique<Unit>();
  unit->call = std::move(call);
  unit->keys = std::move(keys);
  unit->body = std::move(body);
  unit->done = std::move(done);
  unit->validate_only = validate_only;
  unit->weight = std::max(1, units);
  Admit(batches_, std::move(unit), batch_ready_);
}

void BatchStore::WriteSlices(Call call, Slices work, Done done, bool validate_only) {
  auto unit = std::make_unique<LongUnit>();
  unit->call = std::move(call);
  unit->work = std::move(work);
  unit->done = std::move(done);
  unit->validate_only = validate_only;
  unit->whole = validate_only;
  unit->weight = std::max(1, unit->work.items);
  Admit(long_work_, std::move(unit), one_writer_ ? batch_ready_ : long_ready_);
}

template <class T>
void BatchStore::Admit(Lane<T>& lane, std::unique_ptr<T> item, std::condition_variable& ready) {
  const steady_clock::time_point now = steady_clock::now();
  std::vector<std::unique_ptr<T>> gone;
  std::unique_lock<std::mutex> lock(write_mutex_);
  steady_clock::duration wait{};
  auto admits = [&] {
    wait = lane.pace.Wait(lane.queue.Ahead(*item, lane.pace.full()));
    // Long work takes as long as its slices and the rests between them.
    if (std::is_same_v<T, LongUnit> && Rests()) wait *= 1 + kRest;
    if (!lane.queue.Admits(*item)) return false;
    if (!lane.pace.Behind(lane.queue.weight())) return true;
    return wait < (item->call.deadline - now) / kPatience;
  };
  bool admitted = !stopping_ && admits();
  // Those whose callers have left hold room until their turn comes. To look at all of them for
  // every call would cost more than it gives.
  if (!admitted && !stopping_ && now >= lane.next_sweep) {
    lane.next_sweep = now + kSweepPause;
    gone = lane.queue.Sweep(now);
    admitted = admits();
  }
  if (admitted) {
    lane.queue.Add(std::move(item));
    lock.unlock();
    ready.notify_one();
  } else {
    const absl::Status refused = stopping_ ? domain::StorageUnavailable(kRetryAfterMillis)
                                           : domain::Overloaded(RetryAfterMillis(wait));
    lock.unlock();
    item->done(refused, {});
  }
  Drop(gone, kRetryAfterMillis);
}

template <class T>
void BatchStore::Drop(const std::vector<std::unique_ptr<T>>& items, int64_t retry_after_millis) {
  for (const std::unique_ptr<T>& item : items) {
    item->done(Expired(item->call) ? domain::Expired() : domain::Overloaded(retry_after_millis),
               {});
  }
}

void BatchStore::Read(Call call, ReadBody body, ReadDone done) {
  auto read = std::make_unique<BodyRead>();
  read->call = std::move(call);
  read->body = std::move(body);
  read->done = std::move(done);
  AddRead(body_reads_, std::move(read));
}

void BatchStore::GetLead(Call call, domain::LeadId id, LeadDone done) {
  auto read = std::make_unique<PointRead>();
  read->call = std::move(call);
  read->key = std::move(id);
  read->done = std::move(done);
  AddRead(point_reads_, std::move(read));
}

void BatchStore::LookupLead(Call call, domain::IdentityKey key, LeadDone done) {
  auto read = std::make_unique<PointRead>();
  read->call = std::move(call);
  read->key = std::move(key);
  read->done = std::move(done);
  AddRead(point_reads_, std::move(read));
}

template <class T>
void BatchStore::AddRead(FairQueue<T>& queue, std::unique_ptr<T> read) {
  std::vector<std::unique_ptr<T>> gone;
  absl::Status refused;
  {
    std::lock_guard<std::mutex> lock(read_mutex_);
    const steady_clock::time_point now = steady_clock::now();
    if (!reads_stopping_ && !queue.Admits(*read) && now >= next_read_sweep_) {
      next_read_sweep_ = now + kSweepPause;
      gone = queue.Sweep(now);
    }
    if (reads_stopping_) {
      refused = domain::StorageUnavailable(kRetryAfterMillis);
    } else if (!queue.Admits(*read)) {
      refused = domain::Overloaded(kRetryAfterMillis);
    } else {
      queue.Add(std::move(read));
    }
  }
  if (refused.ok()) {
    read_ready_.notify_one();
  } else {
    read->done(refused);
  }
  for (const std::unique_ptr<T>& each : gone) each->done(domain::Expired());
}

BatchStore::Turn BatchStore::NextTurn(Duty duty) {
  const bool takes_batches = duty != Duty::kLongWork;
  const bool takes_long_work = duty != Duty::kBatches;
  std::condition_variable& wake = takes_batches ? batch_ready_ : long_ready_;
  for (;;) {
    Turn turn;
    Units late;
    LongUnits late_long;
    int64_t retry = 0, retry_long = 0;
    {
      std::unique_lock<std::mutex> lock(write_mutex_);
      auto any = [&] {
        return (takes_batches && !batches_.queue.empty()) ||
               (takes_long_work && !long_work_.queue.empty());
      };
      wake.wait(lock, [&] { return stopping_ || (!paused_ && any()); });
      turn.stop = !any();
      if (turn.stop) return turn;
      const steady_clock::time_point now = steady_clock::now();
      if (takes_batches) {
        // When many wait, a batch is full and takes its time: who cannot wait for its end leaves
        // the place to one who can.
        const bool behind = batches_.pace.Behind(batches_.queue.weight());
        turn.units = batches_.queue.Take(options_.max_batch, now,
                                         behind ? now + batches_.pace.Batch() : now, late);
        retry = RetryAfterMillis(batches_.pace.Wait(batches_.queue.weight()));
        if (!batches_.queue.empty()) batch_ready_.notify_one();
        if (!turn.units.empty()) last_batch_ = now;
      }
      if (takes_long_work) {
        LongUnits one = long_work_.queue.Take(/*max_weight=*/0, now, now, late_long);
        retry_long = RetryAfterMillis(long_work_.pace.Wait(long_work_.queue.weight()));
        if (!one.empty()) turn.long_unit = std::move(one[0]);
      }
    }
    Drop(late, retry);
    Drop(late_long, retry_long);
    if (!turn.units.empty() || turn.long_unit != nullptr) return turn;
  }
}

void BatchStore::WriterLoop(Duty duty) {
  for (;;) {
    Turn turn = NextTurn(duty);
    if (turn.stop) return;  // and nothing is left
    const steady_clock::time_point begin = steady_clock::now();
    int weight = 0;
    for (const std::unique_ptr<Unit>& unit : turn.units) weight += unit->weight;
    if (weight > 0) RunBatch(std::move(turn.units));
    if (turn.long_unit != nullptr) {
      RunSlice(std::move(turn.long_unit));
      if (duty == Duty::kLongWork) Rest(steady_clock::now() - begin);
    }
    if (weight > 0) {
      std::lock_guard<std::mutex> lock(write_mutex_);
      batches_.pace.Learn(weight, steady_clock::now() - begin);
    }
  }
}

// Slices one after the other would take a processor from the batches, and the feed's counter every
// time they want it.
void BatchStore::Rest(steady_clock::duration after) {
  std::unique_lock<std::mutex> lock(write_mutex_);
  if (!Rests()) return;
  long_ready_.wait_for(lock, kRest * std::min<steady_clock::duration>(after, kMostRest),
                       [this] { return stopping_; });
}

int BatchStore::SliceOf(const LongUnit& unit) {
  const int left = unit.work.items - unit.next;
  if (unit.whole) return left;
  std::lock_guard<std::mutex> lock(write_mutex_);
  const double fit = std::chrono::duration<double>(options_.slice_time) *
                     (!one_writer_ && Quiet() ? kQuietSlices : 1) /
                     std::chrono::duration<double>(long_work_.pace.Batch());
  return static_cast<int>(std::clamp<double>(fit, std::min(kLeastSlice, left), left));
}

void BatchStore::RunSlice(std::unique_ptr<LongUnit> long_unit) {
  const int first = long_unit->next;
  const int count = SliceOf(*long_unit);
  absl::Status status;
  Committed place;
  Units units;
  units.push_back(std::make_unique<Unit>());
  Unit& unit = *units[0];
  unit.call = long_unit->call;
  unit.keys = long_unit->work.keys(first, count);
  unit.body = [&work = long_unit->work, first, count](WriteTxn& txn) {
    return work.body(txn, first, count);
  };
  unit.done = [&](const absl::Status& end, const Committed& committed) {
    status = end;
    place = committed;
  };
  unit.validate_only = long_unit->validate_only;
  unit.weight = std::max(1, count);
  const steady_clock::time_point begin = steady_clock::now();
  RunBatch(std::move(units));
  const steady_clock::duration took = steady_clock::now() - begin;

  long_unit->next += count;
  const bool finished = !status.ok() || long_unit->next >= long_unit->work.items;
  if (finished) long_unit->done(status, place);
  std::lock_guard<std::mutex> lock(write_mutex_);
  if (status.ok()) long_work_.pace.Learn(std::max(1, count), took);
  if (finished) return;
  long_unit->weight = long_unit->work.items - long_unit->next;
  long_work_.queue.PutBack(std::move(long_unit));
}

void BatchStore::ReaderLoop() {
  bool points_first = true;
  for (;;) {
    PointReads points, late_points;
    BodyReads bodies, late_bodies;
    {
      std::unique_lock<std::mutex> lock(read_mutex_);
      auto any = [&] { return !point_reads_.empty() || !body_reads_.empty(); };
      read_ready_.wait(lock, [&] { return reads_stopping_ || any(); });
      if (!any()) return;  // stopping, and nothing is left
      const steady_clock::time_point now = steady_clock::now();
      // Point reads and the others take turns.
      if (body_reads_.empty() || (points_first && !point_reads_.empty())) {
        points = point_reads_.Take(kMaxPointReads, now, now, late_points);
      } else {
        bodies = body_reads_.Take(/*max_weight=*/1, now, now, late_bodies);
      }
      points_first = !points_first;
    }
    for (const auto& late : late_points) late->done(domain::Expired());
    for (const auto& late : late_bodies) late->done(domain::Expired());
    if (!points.empty()) RunPointReads(points);
    for (const auto& read : bodies) read->done(RunRead(read->call, read->body));
  }
}

void BatchStore::RunPointReads(const PointReads& reads) {
  std::vector<std::optional<domain::Lead>> leads;
  std::vector<domain::LeadId> ids(reads.size());
  // The most patient caller's, or one in a hurry would end the reading of all.
  Call call = reads[0]->call;
  for (const auto& read : reads) call.deadline = std::max(call.deadline, read->call.deadline);
  call.cancelled = nullptr;
  absl::Status status = RunRead(call, [&](ReadTxn& txn) -> absl::Status {
    std::vector<domain::IdentityKey> keys;
    std::vector<size_t> places;
    for (size_t i = 0; i < reads.size(); ++i) {
      if (const auto* id = std::get_if<domain::LeadId>(&reads[i]->key)) {
        ids[i] = *id;
      } else {
        keys.push_back(std::get<domain::IdentityKey>(reads[i]->key));
        places.push_back(i);
      }
    }
    if (!keys.empty()) {
      ASSIGN_OR_RETURN(auto owners, txn.IdentityOwners(keys));
      for (size_t i = 0; i < owners.size(); ++i) {
        ids[places[i]] = owners[i].value_or(domain::LeadId());
      }
    }
    std::vector<domain::LeadId> known;
    for (const domain::LeadId& id : ids) {
      if (!id.value.empty()) known.push_back(id);
    }
    ASSIGN_OR_RETURN(auto found, txn.GetLeads(known));
    leads.assign(reads.size(), std::nullopt);
    for (size_t i = 0, next = 0; i < reads.size(); ++i) {
      if (!ids[i].value.empty()) leads[i] = std::move(found[next++]);
    }
    return absl::OkStatus();
  });
  for (size_t i = 0; i < reads.size(); ++i) {
    if (status.ok()) {
      reads[i]->done(std::move(leads[i]));
    } else {
      reads[i]->done(status);
    }
  }
}

absl::Status BatchStore::RunRead(const Call& call, const ReadBody& body) {
  absl::Status status;
  // A connection that died while it was idle is found out by the first statement: once more on a
  // new one, since a read repeats without harm.
  for (int attempt = 0; attempt < 2; ++attempt) {
    absl::StatusOr<std::unique_ptr<Session>> session = readers_pool_.Take();
    status = session.status();
    if (status.ok()) {
      status = (*session)->Begin(call.tenant, TransactionMode::kRead, call.deadline);
      if (status.ok()) {
        SqlReadTxn txn(**session, vault_, call, clock_.Now(), configs_);
        try {
          status = body(txn);
        } catch (const std::exception&) {
          status = domain::InternalFault("a read body threw");
        }
        if (!txn.config_status().ok()) status = txn.config_status();
      }
      (*session)->Rollback();
      readers_pool_.Give(*std::move(session));
    }
    if (!IsLost(status) && !IsConflict(status)) break;
    if (Expired(call)) return domain::Expired();
  }
  if (IsLost(status) || IsConflict(status)) {
    if (IsLost(status)) healthy_.store(false);
    return domain::StorageUnavailable(kRetryAfterMillis);
  }
  healthy_.store(true);
  return status;
}

// Without traffic nobody would notice that the database is back.
void BatchStore::ProbeLoop() {
  std::unique_lock<std::mutex> lock(probe_mutex_);
  while (!probe_stopping_) {
    probe_ready_.wait_for(lock, options_.probe_pause);
    if (probe_stopping_ || healthy_.load()) continue;
    absl::StatusOr<std::unique_ptr<Session>> session = readers_pool_.Take();
    if (!session.ok()) continue;
    // Begin alone need not reach the database.
    absl::Status status = (*session)->Begin(kProbeTenant, TransactionMode::kRead);
    if (status.ok()) status = (*session)->Execute("SELECT 1", {}).status();
    if (status.ok()) healthy_.store(true);
    (*session)->Rollback();
    readers_pool_.Give(*std::move(session));
  }
}

// ---- one batch --------------------------------------------------------------------------------

void BatchStore::Fail(Units& units, const absl::Status& status) {
  for (std::unique_ptr<Unit>& unit : units) unit->done(status, {});
}

void BatchStore::Answer(Units& units, const std::vector<Committed>& places) {
  for (size_t i = 0; i < units.size(); ++i) units[i]->done(units[i]->status, places[i]);
}

void BatchStore::RunBatch(Units units) {
  int weight = 0;
  for (const std::unique_ptr<Unit>& unit : units) {
    ++unit->tries;
    weight += unit->weight;
  }
  if (options_.before_transaction) options_.before_transaction(weight);
  const std::string batch_id = ids_.NewId();
  const domain::TenantId tenant = units[0]->call.tenant;
  absl::Status failure;
  std::vector<Committed> places;
  BatchEnd end = BatchEnd::kLost;
  {
    std::unique_lock<FairMutex> place = WritePlace();
    absl::StatusOr<std::unique_ptr<Session>> session = writers_pool_.Take();
    if (session.ok()) {
      end = TryBatch(*session, units, batch_id, failure, places);
      const bool healthy = (*session)->healthy();
      writers_pool_.Give(*std::move(session));
      // An answer without proof leaves the session healthy, and the row has none either.
      if (end == BatchEnd::kUnknown && !healthy) {
        Committed head;
        end = Settle(tenant, batch_id, head);
        places.assign(units.size(), head);
      }
    } else if (!IsLost(session.status())) {
      end = BatchEnd::kFailed;
      failure = session.status();
    }
  }
  switch (end) {
    case BatchEnd::kDone:
      healthy_.store(true);
      Answer(units, places);
      Wake();
      return;
    case BatchEnd::kUnknown:
      Fail(units, domain::OutcomeUnknown());
      return;
    case BatchEnd::kFailed:
      // A statement that can never work (a bug) must not take the innocent units with it.
      if (units.size() == 1) {
        Fail(units, failure);
        return;
      }
      break;
    case BatchEnd::kLost:
      healthy_.store(false);
      if (units[0]->tries >= 2) {
        Fail(units, domain::StorageUnavailable(kRetryAfterMillis));
        return;
      }
      RunBatch(std::move(units));
      return;
    case BatchEnd::kConflict:
      if (units[0]->tries >= kMaxTries && units.size() == 1) {
        Fail(units, domain::StorageUnavailable(kRetryAfterMillis));
        return;
      }
      {
        // A random pause parts two writers that collide again and again.
        thread_local std::minstd_rand random(std::random_device{}());
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
      }
      if (units[0]->tries == 1 || units.size() == 1) {
        RunBatch(std::move(units));
        return;
      }
      break;
  }
  Units half;
  for (size_t i = units.size() / 2; i < units.size(); ++i) half.push_back(std::move(units[i]));
  units.resize(units.size() / 2);
  RunBatch(std::move(units));
  RunBatch(std::move(half));
}

absl::Status BatchStore::RunBody(Unit& unit, BatchMap& map, domain::Timestamp now,
                                 const domain::Config& config, const LoadKeys& load) {
  auto run = [&](bool keep) -> absl::Status {
    UnitTxn txn(map, unit.call, now, config, ids_, unit.ids, load, options_.unnamed_reads_fail);
    absl::Status status;
    try {
      status = unit.body(txn);
    } catch (const std::exception&) {
      status = domain::InternalFault("a write body threw");
    }
    if (!status.ok() || !keep) txn.Undo();
    return status;
  };
  absl::Status first;
  if (options_.run_bodies_twice) first = run(false);
  absl::Status status = run(!unit.validate_only);
  if (options_.run_bodies_twice && first != status) {
    return domain::InternalFault(Concat(unit.call.method, " gave two results when run twice"));
  }
  return status;
}

BatchStore::BatchEnd BatchStore::TryBatch(std::unique_ptr<Session>& session, Units& units,
                                          const std::string& batch_id, absl::Status& failure,
                                          std::vector<Committed>& places) {
  const domain::TenantId& tenant = units[0]->call.tenant;
  auto end_of = [&](const absl::Status& status) {
    failure = status;
    session->Rollback();
    if (IsConflict(status)) return BatchEnd::kConflict;
    return IsLost(status) ? BatchEnd::kLost : BatchEnd::kFailed;
  };
  if (absl::Status status = session->Begin(tenant, TransactionMode::kWrite); !status.ok()) {
    return end_of(status);
  }
  const domain::Timestamp now = clock_.Now();

  BatchMap map;
  RequestIds requests;
  Keys keys;
  for (const std::unique_ptr<Unit>& unit : units) {
    std::vector<std::string>& own = requests[unit->call.principal];
    own.insert(own.end(), unit->keys.requests.begin(), unit->keys.requests.end());
    keys.Add(unit->keys);
  }
  // Before any other lock, so that who waits here for a change of configuration holds nothing.
  int64_t config_version = 0;
  if (absl::Status status =
          session->LockConfigVersion(tenant, !keys.configurations.empty(), config_version);
      !status.ok()) {
    return end_of(status);
  }
  if (absl::Status status = Load(*session, vault_, tenant, requests, std::move(keys), map);
      !status.ok()) {
    return end_of(status);
  }
  absl::StatusOr<std::shared_ptr<const domain::Config>> config =
      configs_.At(*session, tenant, config_version);
  if (!config.ok()) return end_of(config.status());

  for (std::unique_ptr<Unit>& unit : units) {
    absl::Status broken;  // the transaction is dead: no body may be believed any more
    LoadKeys load = [&](const Keys& more) {
      absl::Status status =
          Load(*session, vault_, tenant, {{unit->call.principal, more.requests}}, more, map);
      if (!status.ok() && broken.ok()) broken = status;
      return status;
    };
    unit->first_event = map.events.size();
    unit->status = RunBody(*unit, map, now, **config, load);
    unit->event_count = map.events.size() - unit->first_event;
    if (!broken.ok()) return end_of(broken);
  }

  // Where callers without an event of their own find what they saw: behind all that the transaction
  // can see.
  EventNumbers numbers;
  if (map.events.empty()) {
    static constexpr ColumnType kTypes[] = {ColumnType::kInteger, ColumnType::kInteger};
    absl::StatusOr<std::vector<Row>> rows =
        session->Query("SELECT last_number, last_time FROM feed_counters WHERE tenant_id = :p1",
                       Row{tenant.value}, kTypes);
    if (!rows.ok()) return end_of(rows.status());
    if (!rows->empty()) numbers = {IntOr((*rows)[0][0]), IntOr((*rows)[0][1])};
  }
  CommitOutcome outcome = CommitOutcome::kCommitted;
  if (HasChanges(map)) {
    absl::Status status = Flush(*session, vault_, tenant, batch_id, now, map, numbers);
    if (!status.ok()) return end_of(status);
    outcome = session->Commit();
  } else {
    session->Rollback();
  }
  switch (outcome) {
    case CommitOutcome::kCommitted:
      break;
    case CommitOutcome::kRolledBack:
      // Without a failed statement it was the COMMIT itself that was refused: a conflict.
      return session->failure().ok() ? BatchEnd::kConflict : end_of(session->failure());
    case CommitOutcome::kUnknown:
      return BatchEnd::kUnknown;
  }
  places.clear();
  for (const std::unique_ptr<Unit>& unit : units) {
    // Events of the batch that come after the unit's last one.
    const int64_t later =
        unit->event_count == 0
            ? 0
            : static_cast<int64_t>(map.events.size() - unit->first_event - unit->event_count);
    places.push_back({numbers.last_number - later, {numbers.last_time - later}});
  }
  return BatchEnd::kDone;
}

BatchStore::BatchEnd BatchStore::Settle(const domain::TenantId& tenant, const std::string& batch_id,
                                        Committed& head) {
  // Whatever the deadlines of its units: one caller in a hurry must not cost the others the answer.
  const steady_clock::time_point deadline = steady_clock::now() + kSettleTime;
  do {
    absl::StatusOr<std::unique_ptr<Session>> taken = writers_pool_.Take();
    if (taken.ok()) {
      Session& session = **taken;
      absl::Status status = session.Begin(tenant, TransactionMode::kWrite);
      // Waits for the lost transaction if the server still holds its row.
      if (status.ok()) {
        status = session.InsertRows(
            BatchesTable(), std::vector<Row>{{tenant.value, batch_id, clock_.Now().micros}});
      }
      std::optional<BatchEnd> end;
      if (status.ok()) {
        // Only a committed row shuts out a transaction that the server has not come to yet.
        const CommitOutcome shut = session.Commit();
        if (shut == CommitOutcome::kCommitted) end = BatchEnd::kLost;
        // From here on the row may be this one.
        if (shut == CommitOutcome::kUnknown) end = BatchEnd::kUnknown;
      } else {
        session.Rollback();
        if (IsTaken(status) && ReadHead(session, tenant, head).ok()) end = BatchEnd::kDone;
      }
      writers_pool_.Give(*std::move(taken));
      if (end.has_value()) return *end;
    }
    std::this_thread::sleep_for(kSettlePause);
  } while (steady_clock::now() < deadline);
  return BatchEnd::kUnknown;
}

absl::Status BatchStore::ReadHead(Session& session, const domain::TenantId& tenant,
                                  Committed& head) {
  static constexpr ColumnType kTypes[] = {ColumnType::kInteger, ColumnType::kInteger};
  absl::Status status = session.Begin(tenant, TransactionMode::kWrite);
  if (status.ok()) {
    absl::StatusOr<std::vector<Row>> rows =
        session.Query("SELECT last_number, last_time FROM feed_counters WHERE tenant_id = :p1",
                      Row{tenant.value}, kTypes);
    status = rows.status();
    if (status.ok() && !rows->empty()) head = {IntOr((*rows)[0][0]), {IntOr((*rows)[0][1])}};
  }
  session.Rollback();
  return status;
}

// ---- the rest ---------------------------------------------------------------------------------

std::shared_ptr<void> BatchStore::OnCommit(std::function<void()> wake) {
  std::lock_guard<std::mutex> lock(wake_mutex_);
  const int64_t id = next_wake_++;
  wakes_.emplace(id, std::move(wake));
  return std::shared_ptr<void>(nullptr, [this, id](void*) {
    std::lock_guard<std::mutex> guard(wake_mutex_);
    wakes_.erase(id);
  });
}

void BatchStore::Wake() {
  std::lock_guard<std::mutex> lock(wake_mutex_);
  for (const auto& [id, wake] : wakes_) wake();
}

std::unique_lock<FairMutex> BatchStore::WritePlace() {
  if (!one_writer_) return {};
  return std::unique_lock<FairMutex>(one_at_a_time_);
}

absl::Status BatchStore::Direct(const domain::TenantId& tenant,
                                const std::function<absl::Status(Session&)>& body) {
  std::unique_lock<FairMutex> place = WritePlace();
  absl::StatusOr<std::unique_ptr<Session>> session = writers_pool_.Take();
  if (!session.ok()) return domain::StorageUnavailable(kRetryAfterMillis);
  absl::Status status = (*session)->Begin(tenant, TransactionMode::kWrite);
  if (status.ok()) status = body(**session);
  if (status.ok()) {
    const CommitOutcome outcome = (*session)->Commit();
    if (outcome == CommitOutcome::kUnknown) status = domain::OutcomeUnknown();
    if (outcome == CommitOutcome::kRolledBack) {
      status = (*session)->failure().ok() ? ConflictError("COMMIT") : (*session)->failure();
    }
  } else {
    (*session)->Rollback();
  }
  writers_pool_.Give(*std::move(session));
  if (IsLost(status) || IsConflict(status)) return domain::StorageUnavailable(kRetryAfterMillis);
  return status;
}

namespace {
constexpr char kSearchReaction[] = "search";
}  // namespace

absl::Status BatchStore::ReplaceSearchTerms(
    const domain::TenantId& tenant,
    absl::Span<const std::pair<domain::LeadId, std::vector<SearchTerm>>> leads,
    int64_t old_position, int64_t new_position) {
  // Where writers exclude each other, a page of the index would hold up many batches: it is written
  // in parts, and the position, which is what counts, moves with the last of them.
  while (one_writer_ && leads.size() > kSearchSlice) {
    RETURN_IF_ERROR(Direct(tenant, [&](Session& session) -> absl::Status {
      return ReplaceTerms(session, tenant, leads.subspan(0, kSearchSlice));
    }));
    leads.remove_prefix(kSearchSlice);
  }
  return Direct(tenant, [&](Session& session) -> absl::Status {
    absl::StatusOr<int64_t> moved = session.Execute(
        "UPDATE reactions SET position = :p1 WHERE tenant_id = :p2 AND name = :p3 AND "
        "position = :p4",
        Row{new_position, tenant.value, std::string(kSearchReaction), old_position});
    if (!moved.ok()) return moved.status();
    if (*moved == 0) {
      if (old_position != 0) {
        return absl::FailedPreconditionError("the search index was moved by another server");
      }
      // tenant_id, name, position, owner, lease_until, fence
      RETURN_IF_ERROR(session.InsertRows(
          ReactionsTable(),
          std::vector<Row>{{tenant.value, std::string(kSearchReaction), new_position, std::string(),
                            int64_t{0}, int64_t{0}}}));
    }
    return ReplaceTerms(session, tenant, leads);
  });
}

absl::StatusOr<int64_t> BatchStore::ReactionPosition(const domain::TenantId& tenant,
                                                     std::string_view reaction) {
  int64_t position = 0;
  absl::Status status = Direct(tenant, [&](Session& session) -> absl::Status {
    static constexpr ColumnType kTypes[] = {ColumnType::kInteger};
    ASSIGN_OR_RETURN(
        std::vector<Row> rows,
        session.Query("SELECT position FROM reactions WHERE tenant_id = :p1 AND name = :p2",
                      Row{tenant.value, std::string(reaction)}, kTypes));
    if (!rows.empty()) position = IntOr(rows[0][0]);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return position;
}

absl::StatusOr<int64_t> BatchStore::Sweep(const domain::TenantId& tenant, int limit) {
  int64_t total = 0;
  absl::Status status = Direct(tenant, [&](Session& session) -> absl::Status {
    const int64_t before = clock_.Now().micros - kRequestLogMicros;
    const Row params = {tenant.value, tenant.value, before, static_cast<int64_t>(limit)};
    for (const auto& [table, key] :
         {std::pair("request_log", "principal, request_id"), std::pair("batches", "batch_id")}) {
      ASSIGN_OR_RETURN(
          int64_t deleted,
          session.Execute(Concat("DELETE FROM ", table, " WHERE tenant_id = :p1 AND (", key,
                                 ") IN (SELECT ", key, " FROM ", table,
                                 " WHERE tenant_id = :p2 AND create_time < :p3 LIMIT :p4)"),
                          params));
      total += deleted;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return total;
}

void BatchStore::PauseWrites() {
  std::lock_guard<std::mutex> lock(write_mutex_);
  paused_ = true;
}

void BatchStore::ResumeWrites() {
  {
    std::lock_guard<std::mutex> lock(write_mutex_);
    paused_ = false;
  }
  batch_ready_.notify_all();
  long_ready_.notify_all();
}

void BatchStore::Stop() {
  std::call_once(stopped_, [this] {
    {
      std::lock_guard<std::mutex> lock(write_mutex_);
      stopping_ = true;
      paused_ = false;
    }
    {
      std::lock_guard<std::mutex> lock(read_mutex_);
      reads_stopping_ = true;
    }
    {
      std::lock_guard<std::mutex> lock(probe_mutex_);
      probe_stopping_ = true;
    }
    batch_ready_.notify_all();
    long_ready_.notify_all();
    read_ready_.notify_all();
    probe_ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  });
}

}  // namespace relais::storage
