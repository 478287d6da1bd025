// A database of either engine whose sessions fail on order. What a session does before it fails is
// real: a commit that gets no answer has happened, or has been rolled back, in the database itself.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/engine/session.h"

namespace relais::testing {

// How many of the next commits, or beginnings of write transactions, fail in which way. Shared by
// all sessions; thread-safe.
struct Faults {
  std::atomic<int> commits_refused{0};   // rolled back, as by a conflict
  std::atomic<int> answers_lost{0};      // committed; the connection breaks before the answer
  std::atomic<int> commits_lost{0};      // rolled back; the connection breaks before the answer
  std::atomic<int> commits_unproven{0};  // committed, with a warning that it may not be durable
  // After a lost answer, a batch's row cannot be inserted for a lock in the way.
  std::atomic<int> settlings_blocked{0};
  std::atomic<bool> settling{false};
  std::atomic<int> beginnings_lost{0};  // the connection breaks at BEGIN
  // Every statement breaks its connection, BEGIN excepted: PostgreSQL sends that along with the
  // first statement.
  std::atomic<bool> away{false};
  std::atomic<int> statements_lost{0};        // counted while it is away
  std::atomic<bool> breaks_on_poison{false};  // inserting a row that holds kPoison is INTERNAL

  static constexpr char kPoison[] = "poison@example.com";

  static bool Use(std::atomic<int>& left) {
    int now = left.load();
    while (now > 0) {
      if (left.compare_exchange_weak(now, now - 1)) return true;
    }
    return false;
  }
};

class FaultySession final : public storage::Session {
 public:
  FaultySession(std::unique_ptr<storage::Session> session, Faults& faults)
      : session_(std::move(session)), faults_(faults) {}

  storage::Dialect dialect() const override { return session_->dialect(); }

  absl::Status Begin(const domain::TenantId& tenant, storage::TransactionMode mode,
                     std::chrono::steady_clock::time_point deadline) override {
    failure_ = absl::OkStatus();
    if (mode == storage::TransactionMode::kWrite && Faults::Use(faults_.beginnings_lost)) {
      return Lose("BEGIN");
    }
    return session_->Begin(tenant, mode, deadline);
  }

  storage::CommitOutcome Commit() override {
    if (Faults::Use(faults_.commits_refused)) {
      session_->Rollback();
      failure_ = storage::ConflictError("on order");
      return storage::CommitOutcome::kRolledBack;
    }
    if (Faults::Use(faults_.commits_unproven)) {
      session_->Commit();
      return storage::CommitOutcome::kUnknown;
    }
    if (Faults::Use(faults_.answers_lost)) {
      faults_.settling = true;
      session_->Commit();
      failure_ = Lose("COMMIT");
      return storage::CommitOutcome::kUnknown;
    }
    if (Faults::Use(faults_.commits_lost)) {
      faults_.settling = true;
      session_->Rollback();
      failure_ = Lose("COMMIT");
      return storage::CommitOutcome::kUnknown;
    }
    return session_->Commit();
  }

  absl::Status LockConfigVersion(const domain::TenantId& tenant, bool alone,
                                 int64_t& version) override {
    if (faults_.away) return LoseStatement();
    return session_->LockConfigVersion(tenant, alone, version);
  }

  void Rollback() override { session_->Rollback(); }

  absl::Status QueryEach(std::string_view sql, absl::Span<const storage::Cell> params,
                         absl::Span<const storage::ColumnType> types,
                         const storage::RowVisitor& visit) override {
    if (faults_.away) return LoseStatement();
    return session_->QueryEach(sql, params, types, visit);
  }
  absl::StatusOr<int64_t> Execute(std::string_view sql,
                                  absl::Span<const storage::Cell> params) override {
    if (faults_.away) return LoseStatement();
    return session_->Execute(sql, params);
  }

  absl::Status Send(std::string_view sql, absl::Span<const storage::Cell> params) override {
    if (faults_.away) return LoseStatement();
    return session_->Send(sql, params);
  }

  absl::Status InsertRows(const storage::Table& table,
                          absl::Span<const storage::Row> rows) override {
    if (faults_.settling && Faults::Use(faults_.settlings_blocked)) {
      failure_ = storage::ConflictError("on order");
      return failure_;
    }
    if (faults_.breaks_on_poison) {
      for (const storage::Row& row : rows) {
        for (const storage::Cell& cell : row) {
          if (cell == storage::Cell(std::string(Faults::kPoison))) {
            failure_ = absl::InternalError("on order");
            return failure_;
          }
        }
      }
    }
    return session_->InsertRows(table, rows);
  }

  absl::Status UpdateRows(const storage::Table& table, absl::Span<const size_t> columns,
                          absl::Span<const storage::Row> rows,
                          absl::Span<const int64_t> old_revisions) override {
    return session_->UpdateRows(table, columns, rows, old_revisions);
  }
  absl::Status AppendEvents(const storage::Table& events, const domain::TenantId& tenant,
                            std::vector<storage::Row> rows, domain::Timestamp now,
                            storage::EventNumbers& numbers) override {
    return session_->AppendEvents(events, tenant, std::move(rows), now, numbers);
  }
  void SendAhead() override { session_->SendAhead(); }
  absl::Status failure() const override { return failure_.ok() ? session_->failure() : failure_; }
  absl::StatusOr<std::vector<std::vector<storage::Row>>> Select(
      const domain::TenantId& tenant, std::vector<storage::Selection> selections) override {
    if (faults_.away) return LoseStatement();
    return session_->Select(tenant, std::move(selections));
  }
  bool healthy() const override { return !lost_ && session_->healthy(); }

 private:
  absl::Status Lose(std::string_view what) {
    lost_ = true;
    return storage::LostError(what);
  }

  absl::Status LoseStatement() {
    ++faults_.statements_lost;
    return Lose("a statement");
  }

  std::unique_ptr<storage::Session> session_;
  Faults& faults_;
  bool lost_ = false;
  absl::Status failure_;
};

class FaultyDatabase final : public storage::Database {
 public:
  FaultyDatabase(std::unique_ptr<storage::Database> database, Faults& faults)
      : database_(std::move(database)), faults_(faults) {}

  storage::Dialect dialect() const override { return database_->dialect(); }
  absl::Status Migrate() override { return database_->Migrate(); }
  absl::StatusOr<std::unique_ptr<storage::Session>> Open(storage::TransactionMode mode) override {
    absl::StatusOr<std::unique_ptr<storage::Session>> session = database_->Open(mode);
    if (!session.ok()) return session;
    return std::unique_ptr<storage::Session>(
        std::make_unique<FaultySession>(*std::move(session), faults_));
  }

 private:
  std::unique_ptr<storage::Database> database_;
  Faults& faults_;
};

}  // namespace relais::testing
