// One connection to a database, as the batch engine and the readers use it. Implemented by
// storage/sqlite (over SOCI) and storage/postgres (over libpq on SOCI's connection); everything
// above this header is free of SQL dialects except for the texts that storage/sql makes for a
// Dialect.
//
// Not thread-safe: one thread at a time owns a session. Statements are prepared once a session and
// text. Errors are absl::Status of these kinds only (helpers below); texts never hold bound values:
//   conflict   foreign key, serialisation, deadlock, busy, a lock that was waited for too long: the
//              transaction is dead, and may be run again
//   taken      a conflict, too: a unique key that is there already
//   lost       connection or server gone, or the deadline passed; the session must be dropped
//   INTERNAL   anything else (a bug); the session must be dropped, too
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/ids.h"
#include "server/domain/value.h"
#include "storage/cell.h"
#include "storage/sql/dialect.h"

namespace relais::storage {

absl::Status ConflictError(std::string_view what);  // ABORTED
absl::Status TakenError(std::string_view what);     // ABORTED
absl::Status LostError(std::string_view what);      // UNAVAILABLE
bool IsConflict(const absl::Status& status);        // also of those that are taken
bool IsTaken(const absl::Status& status);
bool IsLost(const absl::Status& status);

enum class TransactionMode { kRead, kWrite };

// What is known after COMMIT was sent.
enum class CommitOutcome {
  kCommitted,
  kRolledBack,  // the server said so: nothing happened
  // No answer, and the session is lost; or one that does not prove durability (WARNING 01000), and
  // the session is healthy: the row of such a batch is there, and says nothing about the standby
  // that did not answer.
  kUnknown,
};

// Rows of one table by key, for Session::Select.
struct Selection {
  const Table& table;
  std::vector<std::string> match;  // columns, tenant_id not among them
  std::vector<Row> keys;           // of the width of `match`; repeated ones count once
  bool lock = false;               // FOR UPDATE, in the order of the keys (PostgreSQL)
};

// The last number and time of a tenant's events.
struct EventNumbers {
  int64_t last_number = 0;
  int64_t last_time = 0;
};

// Called with each row of a result in turn; it may move from the cells.
using RowVisitor = std::function<void(Row&)>;

class Session {
 public:
  static constexpr auto kNoDeadline = std::chrono::steady_clock::time_point::max();

  virtual ~Session() = default;

  virtual Dialect dialect() const = 0;
  // BEGIN IMMEDIATE (SQLite write), READ COMMITTED with `app.tenant` set locally (PostgreSQL, sent
  // together with the first statement: a lost connection may show there only). A
  // read transaction is a snapshot: every statement in it sees the same state (REPEATABLE READ on
  // PostgreSQL). A reading statement that still runs at `deadline` is ended, and the session is
  // lost, however many statements came before it.
  virtual absl::Status Begin(const domain::TenantId& tenant, TransactionMode mode,
                             std::chrono::steady_clock::time_point deadline = kNoDeadline) = 0;
  // Reads the version of the tenant's configuration and locks it until the transaction ends: for
  // all who read it, or `alone` before it is changed. `version` is set by the time the next reading
  // statement has answered (PostgreSQL sends the two together), and must live until then.
  virtual absl::Status LockConfigVersion(const domain::TenantId& tenant, bool alone,
                                         int64_t& version) = 0;
  // The only caller of COMMIT. PostgreSQL: success is PGRES_COMMAND_OK and tag COMMIT and no
  // notice.
  virtual CommitOutcome Commit() = 0;
  virtual void Rollback() = 0;  // never fails; a lost session is just marked lost

  // Placeholders are :p1, :p2, ... in the order of `params`. `types` says the shape of each result
  // column. All rows are fetched before it returns; `visit` must not use the session. What was
  // visited before an error counts for nothing.
  virtual absl::Status QueryEach(std::string_view sql, absl::Span<const Cell> params,
                                 absl::Span<const ColumnType> types, const RowVisitor& visit) = 0;
  // All rows at once.
  absl::StatusOr<std::vector<Row>> Query(std::string_view sql, absl::Span<const Cell> params,
                                         absl::Span<const ColumnType> types);
  // Answers the number of rows affected.
  virtual absl::StatusOr<int64_t> Execute(std::string_view sql, absl::Span<const Cell> params) = 0;

  // The same where nobody asks for the number of rows: part of what SendAhead speaks of.
  virtual absl::Status Send(std::string_view sql, absl::Span<const Cell> params) = 0;

  // Bulk forms: one statement for all rows on PostgreSQL (arrays through unnest), a prepared
  // statement in a loop on SQLite. Rows hold a cell for each of table.columns, sorted by key by the
  // caller. Plain INSERT: a duplicate is a conflict.
  virtual absl::Status InsertRows(const Table& table, absl::Span<const Row> rows) = 0;
  // Updates the columns named in `columns` (indexes into table.columns) where key and `revision`
  // equal; `rows` hold all of table.columns with the new values, `old_revisions` the guard. A row
  // that does not match is a conflict.
  virtual absl::Status UpdateRows(const Table& table, absl::Span<const size_t> columns,
                                  absl::Span<const Row> rows,
                                  absl::Span<const int64_t> old_revisions) = 0;
  // Inserts `rows` of the table events, which are numbered here: the tenant's counter is raised by
  // their count, its time to at least `now` and one microsecond an event. The counter's row stays
  // locked until the transaction ends: that is what makes numbers and times follow the order of
  // commits, so this is the last statement of a transaction. `numbers` is set when the statement
  // has run.
  virtual absl::Status AppendEvents(const Table& events, const domain::TenantId& tenant,
                                    std::vector<Row> rows, domain::Timestamp now,
                                    EventNumbers& numbers) = 0;
  // From here to the end of the transaction Send and the three above may be sent without waiting
  // for an answer (PostgreSQL): they answer OK, and Commit tells what became of them; `failure()`
  // says why. What they set must live until then. A reading statement waits for all before it.
  virtual void SendAhead() = 0;
  // Why the latest transaction failed; OK when it did not.
  virtual absl::Status failure() const = 0;

  // Rows of the tables where `match` equals one of `keys`, for each selection in turn and in one
  // round trip; the rows of one are ordered by the table's key. Each selection sees what the locks
  // of those before it waited for. Only rows of `tenant`.
  virtual absl::StatusOr<std::vector<std::vector<Row>>> Select(
      const domain::TenantId& tenant, std::vector<Selection> selections) = 0;
  // One selection.
  absl::StatusOr<std::vector<Row>> SelectRows(const Table& table, const domain::TenantId& tenant,
                                              std::vector<std::string> match, std::vector<Row> keys,
                                              bool lock);
  // False once the connection is known to be gone.
  virtual bool healthy() const = 0;
};

// Opens sessions of one database. Thread-safe.
class Database {
 public:
  virtual ~Database() = default;
  virtual Dialect dialect() const = 0;
  // Brings the schema up to date; refuses (FAILED_PRECONDITION) a schema newer than this program
  // and one whose recorded migrations differ in checksum. Idempotent, safe under concurrent
  // servers.
  virtual absl::Status Migrate() = 0;
  // A session for writing or for reading. On SQLite readers are opened read-only
  // (PRAGMA query_only).
  virtual absl::StatusOr<std::unique_ptr<Session>> Open(TransactionMode mode) = 0;
};

}  // namespace relais::storage
