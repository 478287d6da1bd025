// A Session over PostgreSQL. SOCI makes and keeps the connection; statements go over libpq in
// pipeline mode, because many of them in one round trip, arrays in binary form and a COMMIT whose
// answer can be told from silence are beyond SOCI.
//
// Every statement is prepared once a session. What is sent waits in `pending_` for its answer, in
// order; Drain sends a sync point and takes the answers up to it. An error makes the server pass
// over everything up to the next sync point, COMMIT included.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "soci/soci.h"
#include "storage/engine/session.h"
#include "storage/sql/transaction_state.h"

namespace relais::storage {

// What a session is opened for decides its settings and its role.
enum class Purpose { kMigrate, kWrite, kRead };

class PostgresSession final : public Session {
 public:
  PostgresSession(std::unique_ptr<soci::session> session, std::chrono::milliseconds commit_timeout);
  ~PostgresSession() override;
  PostgresSession(const PostgresSession&) = delete;
  PostgresSession& operator=(const PostgresSession&) = delete;

  // Settings and role; to be called once, before anything else.
  absl::Status Prepare(Purpose purpose);

  Dialect dialect() const override { return Dialect::kPostgres; }
  bool healthy() const override { return transaction_.healthy(); }
  absl::Status failure() const override { return transaction_.failure(); }

  absl::Status Begin(const domain::TenantId& tenant, TransactionMode mode,
                     std::chrono::steady_clock::time_point deadline) override;
  absl::Status LockConfigVersion(const domain::TenantId& tenant, bool alone,
                                 int64_t& version) override;
  CommitOutcome Commit() override;
  void Rollback() override;
  absl::Status QueryEach(std::string_view sql, absl::Span<const Cell> params,
                         absl::Span<const ColumnType> types, const RowVisitor& visit) override;
  absl::StatusOr<int64_t> Execute(std::string_view sql, absl::Span<const Cell> params) override;
  absl::Status Send(std::string_view sql, absl::Span<const Cell> params) override;
  absl::Status InsertRows(const Table& table, absl::Span<const Row> rows) override;
  absl::Status UpdateRows(const Table& table, absl::Span<const size_t> columns,
                          absl::Span<const Row> rows,
                          absl::Span<const int64_t> old_revisions) override;
  absl::Status AppendEvents(const Table& events, const domain::TenantId& tenant,
                            std::vector<Row> rows, domain::Timestamp now,
                            EventNumbers& numbers) override;
  void SendAhead() override { sends_ahead_ = true; }
  absl::StatusOr<std::vector<std::vector<Row>>> Select(const domain::TenantId& tenant,
                                                       std::vector<Selection> selections) override;

  // Statements without parameters, several in one text, in the open transaction or outside of one.
  absl::Status Script(const std::string& sql);

 private:
  using Clock = std::chrono::steady_clock;
  class Parameters;
  class RowSource;
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  using Result = std::unique_ptr<PGresult, Clear>;

  struct Prepared {
    std::string sql;   // the key, as callers write it
    std::string name;  // on the server
    bool ready = false;
  };
  using Statement = std::list<Prepared>::iterator;

  // One answer to come.
  struct Pending {
    enum class Kind : uint8_t { kPrepare, kStatement, kCommit, kSync };
    Kind kind = Kind::kStatement;
    std::optional<Statement> statement;  // for errors
    std::vector<ColumnType> types;       // of the columns, when rows are wanted
    RowVisitor visit;
    int64_t* affected = nullptr;
    EventNumbers* numbers = nullptr;
    int64_t* number = nullptr;       // the only value of the only row; stays where there is none
    const Table* guarded = nullptr;  // an UPDATE that raises when a revision is stale
  };

  // Fails the open transaction with what is not OK.
  absl::Status Kill(absl::Status status);
  absl::Status SendInsert(const Table& table, absl::Span<const Row> rows);
  absl::Status SendUpdate(const Table& table, absl::Span<const size_t> columns,
                          absl::Span<const Row> rows, absl::Span<const int64_t> old_revisions);
  absl::Status SendEvents(const Table& events, const domain::TenantId& tenant,
                          absl::Span<const Row> rows, domain::Timestamp now, EventNumbers& numbers);
  absl::Status SendSelection(const domain::TenantId& tenant, Selection selection,
                             std::vector<Row>& rows);
  // Gives the next reading statement the time that is left.
  absl::Status Limit();
  // Prepares the statement if need be and sends it.
  absl::Status Send(std::string_view sql, const Parameters& params, Pending pending);
  absl::Status SendAndMaybeWait(std::string_view sql, const Parameters& params, Pending pending);
  absl::StatusOr<Statement> Find(std::string_view sql);
  void DropOne();
  // Has the server forget its plans when that is due.
  absl::Status PlanAnew();
  // Sends a sync point and takes all answers. The first error fails the transaction.
  absl::Status Drain(Clock::time_point deadline = Clock::time_point::max());
  // The next result; null at the end of a statement. False: none came before the deadline, or the
  // socket is broken.
  bool Receive(Clock::time_point deadline, Result& result);
  absl::Status Take(const Pending& pending, const PGresult* result);
  absl::Status StatusOfResult(const Pending& pending, const PGresult* result) const;
  // Whether an error of a living server proves that the transaction did not commit and never will.
  static bool Refuses(const Pending& pending, const PGresult* result);
  absl::Status Lost(std::string_view what);
  CommitOutcome NoAnswer();
  // Nothing waits on this connection any more: every call of libpq fails at once.
  void Sever();

  std::unique_ptr<soci::session> soci_;
  PGconn* connection_;
  const std::chrono::milliseconds commit_timeout_;
  TransactionState transaction_;
  bool reads_only_ = false;
  Clock::time_point deadline_ = kNoDeadline;  // of the reading transaction
  bool limited_ = false;                      // its first statement has been given what is left
  bool sends_ahead_ = false;
  std::list<Prepared> statements_;  // most recently used first
  std::unordered_map<std::string_view, Statement> by_sql_;
  int64_t next_name_ = 0;
  int64_t transactions_ = 0;
  int64_t plan_at_transaction_ = 2;
  std::chrono::milliseconds plan_life_{50};
  Clock::time_point plan_at_time_ = Clock::now() + plan_life_;
  std::deque<Pending> pending_;
  int warnings_ = 0;        // since all answers were taken
  bool committed_ = false;  // COMMIT was answered with its own tag
  bool refused_ = false;    // it is certain that nothing was committed
};

}  // namespace relais::storage
