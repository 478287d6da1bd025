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

constexpr int kMaxTries = 5;                           // runs of one unit before UNAVAILABLE
constexpr size_t kMaxPointReads = 256;                 // leads in one query
constexpr int64_t kRetryAfterMillis = 200;             // told to callers that are sent away
constexpr auto kSettleTime = std::chrono::seconds(5);  // to learn a commit's outcome at the most
constexpr auto kSettlePause = std::chrono::milliseconds(50);
constexpr auto kProbePause = std::chrono::seconds(1);  // between two looks at a lost database
const domain::TenantId kProbeTenant("default");
constexpr int64_t kRequestLogMicros = 7 * domain::kMicrosPerDay;  // contract: kept for 7 days

bool Expired(const Call& call) {
  return steady_clock::now() >= call.deadline ||
         (call.cancelled != nullptr && call.cancelled->load(std::memory_order_relaxed));
}

}  // namespace

BatchStore::BatchStore(std::unique_ptr<Database> database, Vault vault, const domain::Clock& clock,
                       domain::IdSource& ids, const domain::Config& config,
                       const StoreOptions& options)
    : database_(std::move(database)),
      vault_(std::move(vault)),
      clock_(clock),
      ids_(ids),
      config_(config),
      options_(options),
      writers_pool_(*database_, TransactionMode::kWrite),
      readers_pool_(*database_, TransactionMode::kRead) {
  const int writers = database_->dialect() == Dialect::kSqlite ? 1 : options_.writer_threads;
  for (int i = 0; i < std::max(1, writers); ++i) threads_.emplace_back([this] { WriterLoop(); });
  for (int i = 0; i < std::max(1, options_.reader_threads); ++i) {
    threads_.emplace_back([this] { ReaderLoop(); });
  }
  threads_.emplace_back([this] { ProbeLoop(); });
}

BatchStore::~BatchStore() { Stop(); }

// ---- queues -----------------------------------------------------------------------------------

void BatchStore::Write(Call call, Keys keys, Body body, Done done, bool validate_only, int units) {
  auto unit = std::make_unique<Unit>();
  unit->call = std::move(call);
  unit->keys = std::move(keys);
  unit->body = std::move(body);
  unit->done = std::move(done);
  unit->validate_only = validate_only;
  unit->weight = std::max(1, units);
  std::unique_lock<std::mutex> lock(write_mutex_);
  absl::Status refused;
  if (stopping_) {
    refused = domain::StorageUnavailable(kRetryAfterMillis);
  } else if (queued_ > 0 && queued_ + unit->weight > options_.max_queued_units) {
    refused = domain::Overloaded(kRetryAfterMillis);
  }
  if (!refused.ok()) {
    lock.unlock();
    unit->done(refused, {});
    return;
  }
  queued_ += unit->weight;
  std::deque<std::unique_ptr<Unit>>& queue = waiting_[unit->call.tenant.value];
  if (queue.empty()) turns_.push_back(unit->call.tenant.value);
  queue.push_back(std::move(unit));
  lock.unlock();
  write_ready_.notify_one();
}

void BatchStore::Read(Call call, ReadBody body, ReadDone done) {
  AddRead({std::move(call), std::move(body), std::move(done), {}, {}});
}

void BatchStore::GetLead(Call call, domain::LeadId id, LeadDone done) {
  AddRead({std::move(call), {}, {}, std::move(id), std::move(done)});
}

void BatchStore::AddRead(ReadTask task) {
  std::unique_lock<std::mutex> lock(read_mutex_);
  absl::Status refused;
  if (reads_stopping_) {
    refused = domain::StorageUnavailable(kRetryAfterMillis);
  } else if (reads_.size() >= static_cast<size_t>(options_.max_queued_reads)) {
    refused = domain::Overloaded(kRetryAfterMillis);
  }
  if (!refused.ok()) {
    lock.unlock();
    if (task.lead_done) {
      task.lead_done(refused);
    } else {
      task.done(refused);
    }
    return;
  }
  reads_.push_back(std::move(task));
  lock.unlock();
  read_ready_.notify_one();
}

BatchStore::Units BatchStore::TakeUnits(std::unique_lock<std::mutex>& lock) {
  write_ready_.wait(lock, [this] { return stopping_ || (!paused_ && !turns_.empty()); });
  Units units;
  if (turns_.empty()) return units;
  std::string tenant = std::move(turns_.front());
  turns_.pop_front();
  std::deque<std::unique_ptr<Unit>>& queue = waiting_[tenant];
  int weight = 0;
  while (!queue.empty()) {
    const int next = queue.front()->weight;
    if (!units.empty() && weight + next > options_.max_batch) break;
    weight += next;
    queued_ -= next;
    units.push_back(std::move(queue.front()));
    queue.pop_front();
  }
  if (queue.empty()) {
    waiting_.erase(tenant);
  } else {
    turns_.push_back(std::move(tenant));
    write_ready_.notify_one();
  }
  return units;
}

void BatchStore::WriterLoop() {
  for (;;) {
    Units units;
    {
      std::unique_lock<std::mutex> lock(write_mutex_);
      units = TakeUnits(lock);
      if (units.empty()) return;  // stopping, and nothing is left
    }
    Units alive;
    for (std::unique_ptr<Unit>& unit : units) {
      if (Expired(unit->call)) {
        unit->done(domain::Expired(), {});
      } else {
        alive.push_back(std::move(unit));
      }
    }
    if (!alive.empty()) RunBatch(std::move(alive));
  }
}

std::vector<BatchStore::ReadTask> BatchStore::TakeReads(std::unique_lock<std::mutex>& lock) {
  read_ready_.wait(lock, [this] { return reads_stopping_ || !reads_.empty(); });
  std::vector<ReadTask> tasks;
  if (reads_.empty()) return tasks;
  tasks.push_back(std::move(reads_.front()));
  reads_.pop_front();
  if (!tasks[0].lead_done) return tasks;
  std::deque<ReadTask> left;
  for (ReadTask& task : reads_) {
    if (task.lead_done && tasks.size() < kMaxPointReads &&
        task.call.tenant == tasks[0].call.tenant) {
      tasks.push_back(std::move(task));
    } else {
      left.push_back(std::move(task));
    }
  }
  reads_.swap(left);
  return tasks;
}

void BatchStore::ReaderLoop() {
  for (;;) {
    std::vector<ReadTask> tasks;
    {
      std::unique_lock<std::mutex> lock(read_mutex_);
      tasks = TakeReads(lock);
    }
    if (tasks.empty()) return;  // stopping, and nothing is left
    if (tasks[0].lead_done) {
      RunPointReads(std::move(tasks));
    } else if (Expired(tasks[0].call)) {
      tasks[0].done(domain::Expired());
    } else {
      tasks[0].done(RunRead(tasks[0].call, tasks[0].body));
    }
  }
}

void BatchStore::RunPointReads(std::vector<ReadTask> tasks) {
  std::vector<ReadTask> alive;
  std::vector<domain::LeadId> ids;
  for (ReadTask& task : tasks) {
    if (Expired(task.call)) {
      task.lead_done(domain::Expired());
      continue;
    }
    ids.push_back(task.lead);
    alive.push_back(std::move(task));
  }
  if (alive.empty()) return;
  std::vector<std::optional<domain::Lead>> leads;
  absl::Status status = RunRead(alive[0].call, [&](ReadTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(leads, txn.GetLeads(ids));
    return absl::OkStatus();
  });
  for (size_t i = 0; i < alive.size(); ++i) {
    if (status.ok()) {
      alive[i].lead_done(std::move(leads[i]));
    } else {
      alive[i].lead_done(status);
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
      status = (*session)->Begin(call.tenant, TransactionMode::kRead);
      if (status.ok()) {
        SqlReadTxn txn(**session, vault_, call, clock_.Now(), config_);
        try {
          status = body(txn);
        } catch (const std::exception&) {
          status = domain::InternalFault("a read body threw");
        }
      }
      (*session)->Rollback();
      readers_pool_.Give(*std::move(session));
    }
    if (!IsLost(status) && !IsConflict(status)) break;
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
    probe_ready_.wait_for(lock, kProbePause);
    if (probe_stopping_ || healthy_.load()) continue;
    absl::StatusOr<std::unique_ptr<Session>> session = readers_pool_.Take();
    if (!session.ok()) continue;
    if ((*session)->Begin(kProbeTenant, TransactionMode::kRead).ok()) healthy_.store(true);
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
  steady_clock::time_point deadline = steady_clock::now() + kSettleTime;
  for (const std::unique_ptr<Unit>& unit : units) {
    ++unit->tries;
    deadline = std::min(deadline, unit->call.deadline);
  }
  const std::string batch_id = ids_.NewId();
  const domain::TenantId tenant = units[0]->call.tenant;
  absl::Status failure;
  std::vector<Committed> places;
  BatchEnd end = BatchEnd::kLost;
  {
    absl::StatusOr<std::unique_ptr<Session>> session = writers_pool_.Take();
    if (session.ok()) {
      end = TryBatch(*session, units, batch_id, failure, places);
      const bool healthy = (*session)->healthy();
      writers_pool_.Give(*std::move(session));
      if (end == BatchEnd::kUnknown && !healthy) end = Settle(tenant, batch_id, deadline);
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
                                 const LoadKeys& load) {
  auto run = [&](bool keep) -> absl::Status {
    UnitTxn txn(map, unit.call, now, config_, ids_, unit.ids, load, options_.unnamed_reads_fail);
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
  std::map<std::string, std::vector<std::string>> requests;  // by principal
  Keys keys;
  for (const std::unique_ptr<Unit>& unit : units) {
    std::vector<std::string>& own = requests[unit->call.principal];
    own.insert(own.end(), unit->keys.requests.begin(), unit->keys.requests.end());
    keys.Add(unit->keys);
  }
  for (const auto& [principal, ids] : requests) {
    absl::Status status = LoadRequests(*session, tenant, principal, ids, map, keys);
    if (!status.ok()) return end_of(status);
  }
  if (absl::Status status = Load(*session, vault_, tenant, keys, map); !status.ok()) {
    return end_of(status);
  }

  for (std::unique_ptr<Unit>& unit : units) {
    absl::Status broken;  // the transaction is dead: no body may be believed any more
    LoadKeys load = [&](const Keys& more) {
      Keys named = more;
      absl::Status status =
          LoadRequests(*session, tenant, unit->call.principal, more.requests, map, named);
      if (status.ok()) status = Load(*session, vault_, tenant, named, map);
      if (!status.ok() && broken.ok()) broken = status;
      return status;
    };
    unit->first_event = map.events.size();
    unit->status = RunBody(*unit, map, now, load);
    unit->event_count = map.events.size() - unit->first_event;
    if (!broken.ok()) return end_of(broken);
  }

  places.assign(units.size(), Committed{});
  const bool changes = HasChanges(map);
  Flushed flushed;
  FeedHead head;
  if (changes) {
    absl::StatusOr<Flushed> done = Flush(*session, vault_, tenant, batch_id, now, map);
    if (!done.ok()) return end_of(done.status());
    flushed = *done;
  }
  const bool any_without_event =
      std::any_of(units.begin(), units.end(), [](const std::unique_ptr<Unit>& unit) {
        return unit->status.ok() && unit->event_count == 0;
      });
  if (any_without_event) {
    static constexpr ColumnType kTypes[] = {ColumnType::kInteger, ColumnType::kInteger};
    absl::StatusOr<std::vector<Row>> rows =
        session->Query("SELECT last_number, last_time FROM feed_counters WHERE tenant_id = :p1",
                       Row{tenant.value}, kTypes);
    if (!rows.ok()) return end_of(rows.status());
    if (!rows->empty()) head = {IntOr((*rows)[0][0]), {IntOr((*rows)[0][1])}};
  }
  for (size_t i = 0; i < units.size(); ++i) {
    if (units[i]->event_count == 0) {
      places[i] = {head.number, head.record_time};
    } else {
      const int64_t last = static_cast<int64_t>(units[i]->first_event + units[i]->event_count) - 1;
      places[i] = {flushed.first_number + last, {flushed.first_time.micros + last}};
    }
  }
  if (!changes) {
    session->Rollback();
    return BatchEnd::kDone;
  }
  switch (session->Commit()) {
    case CommitOutcome::kCommitted:
      return BatchEnd::kDone;
    case CommitOutcome::kRolledBack:
      return BatchEnd::kConflict;
    case CommitOutcome::kUnknown:
      return BatchEnd::kUnknown;
  }
  return BatchEnd::kUnknown;
}

BatchStore::BatchEnd BatchStore::Settle(const domain::TenantId& tenant, const std::string& batch_id,
                                        steady_clock::time_point deadline) {
  while (steady_clock::now() < deadline) {
    absl::StatusOr<std::unique_ptr<Session>> session = writers_pool_.Take();
    if (session.ok()) {
      absl::Status status = (*session)->Begin(tenant, TransactionMode::kWrite);
      if (status.ok()) {
        // Waits for the lost transaction if the server still holds it.
        status = (*session)->InsertRows(
            BatchesTable(), std::vector<Row>{{tenant.value, batch_id, clock_.Now().micros}});
      }
      (*session)->Rollback();
      writers_pool_.Give(*std::move(session));
      if (status.ok()) return BatchEnd::kLost;  // it never was committed and never will be
      if (IsConflict(status)) return BatchEnd::kDone;
    }
    std::this_thread::sleep_for(kSettlePause);
  }
  return BatchEnd::kUnknown;
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

absl::Status BatchStore::Direct(const domain::TenantId& tenant,
                                const std::function<absl::Status(Session&)>& body) {
  absl::StatusOr<std::unique_ptr<Session>> session = writers_pool_.Take();
  if (!session.ok()) return domain::StorageUnavailable(kRetryAfterMillis);
  absl::Status status = (*session)->Begin(tenant, TransactionMode::kWrite);
  if (status.ok()) status = body(**session);
  if (status.ok()) {
    if ((*session)->Commit() != CommitOutcome::kCommitted) status = domain::OutcomeUnknown();
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

absl::Status BatchStore::Sweep(const domain::TenantId& tenant, int limit) {
  return Direct(tenant, [&](Session& session) -> absl::Status {
    const int64_t before = clock_.Now().micros - kRequestLogMicros;
    const Row params = {tenant.value, tenant.value, before, static_cast<int64_t>(limit)};
    for (const auto& [table, key] :
         {std::pair("request_log", "principal, request_id"), std::pair("batches", "batch_id")}) {
      absl::StatusOr<int64_t> deleted = session.Execute(
          Concat("DELETE FROM ", table, " WHERE tenant_id = :p1 AND (", key, ") IN (SELECT ", key,
                 " FROM ", table,
                 " WHERE tenant_id = :p2 AND create_time < :p3 ORDER BY create_time LIMIT :p4)"),
          params);
      if (!deleted.ok()) return deleted.status();
    }
    return absl::OkStatus();
  });
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
  write_ready_.notify_all();
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
    write_ready_.notify_all();
    read_ready_.notify_all();
    probe_ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  });
}

}  // namespace relais::storage
