// A Session over SOCI, but for what an engine does in its own way: statements prepared once a
// session and text, parameters and results in members that never move, and the state of the
// transaction.
//
// Not thread-safe. No exception of SOCI leaves; no status holds a bound value (SOCI's own messages
// do, so they are never read).
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "soci/soci.h"
#include "storage/cell.h"
#include "storage/engine/session.h"
#include "storage/sql/transaction_state.h"

namespace relais::storage {

// Prepared statements kept by a session; the least recently used is dropped first. A batch needs
// about 60 texts, list filters make the rest.
inline constexpr size_t kStatementCacheSize = 256;

class SociSession : public Session {
 public:
  SociSession(const SociSession&) = delete;
  SociSession& operator=(const SociSession&) = delete;

  // Both need an open transaction. A failed statement kills it on either engine: what follows gets
  // the same status again, and Commit rolls back.
  absl::Status QueryEach(std::string_view sql, absl::Span<const Cell> params,
                         absl::Span<const ColumnType> types, const RowVisitor& visit) final;
  absl::StatusOr<int64_t> Execute(std::string_view sql, absl::Span<const Cell> params) final;
  absl::Status Send(std::string_view sql, absl::Span<const Cell> params) final {
    return Execute(sql, params).status();
  }
  bool healthy() const override { return transaction_.healthy(); }
  absl::Status failure() const override { return transaction_.failure(); }

 protected:
  explicit SociSession(std::unique_ptr<soci::session> session) : soci_(std::move(session)) {}

  // The status of an exception; `error` is null when it is not a std::exception. Adds the engine's
  // error code and nothing of the message.
  virtual absl::Status Translate(const std::exception* error, std::string_view sql) = 0;
  // Called after each use of a statement, also a failed one: closes what it still holds open.
  virtual void Release(soci::statement& statement) = 0;

  // Runs a statement whose parameters have the shapes of `params` and whose results have `types`
  // (empty: none); `visit` may be null. Answers the rows affected.
  absl::StatusOr<int64_t> Run(std::string_view sql, absl::Span<const Cell> params,
                              absl::Span<const ColumnType> types, const RowVisitor* visit);
  // The same for many sets of parameters, one after the other: each of `rows` gives the cells at
  // `order`; `types` are the shapes of these, so that NULLs do not change the statement. Fails with
  // `short_count` at the first set that does not affect exactly one row.
  absl::Status RunEach(std::string_view sql, absl::Span<const ColumnType> types,
                       absl::Span<const std::vector<const Cell*>> sets,
                       const absl::Status& short_count);

  // For the engines' Begin, Commit and Rollback.
  TransactionState& transaction() { return transaction_; }
  // The transaction has ended.
  void Closed();

  // Statements must go before their session: engines call this first in their destructor.
  void DropStatements();
  soci::session& soci() { return *soci_; }

 private:
  struct Slot {
    ColumnType type = ColumnType::kText;
    long long number = 0;  // NOLINT(google-runtime-int): the one 64-bit type SOCI binds
    std::string text;
    soci::indicator indicator = soci::i_null;
  };
  struct Prepared {
    std::string key;
    std::vector<Slot> params, results;           // sized once: SOCI keeps their addresses
    std::unique_ptr<soci::statement> statement;  // last, so that it is destroyed first
  };

  // From the cache, or prepared now. May throw.
  Prepared& Find(std::string_view sql, absl::Span<const ColumnType> params,
                 absl::Span<const ColumnType> results);
  static void Set(Slot& slot, const Cell& cell);
  static Cell Take(Slot& slot);
  void Drop(std::list<Prepared>::iterator prepared);
  // Runs `body`, turning what it throws into a status and a failed transaction.
  template <class Body>
  absl::Status Fenced(std::string_view sql, Body body);

  std::unique_ptr<soci::session> soci_;
  std::list<Prepared> statements_;  // most recently used first
  std::unordered_map<std::string_view, std::list<Prepared>::iterator> by_key_;
  // The one that failed in this transaction. SOCI 4.0.3 forgets to free the parameters of a failed
  // execution when the statement is executed again, but not when it is destroyed; and a statement
  // can be closed on the server only after the failed transaction has ended.
  std::optional<std::list<Prepared>::iterator> spoiled_;
  TransactionState transaction_;
};

// The first words of a statement, for an error text: cut before the first quoted literal.
std::string Excerpt(std::string_view sql);

// ":p4", for the texts of bulk statements.
std::string Placeholder(size_t number);

}  // namespace relais::storage
