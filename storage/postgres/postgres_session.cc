#include "storage/postgres/postgres_session.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "soci/postgresql/soci-postgresql.h"
#include "storage/postgres/binary_array.h"
#include "storage/postgres/errors.h"
#include "storage/sql/bulk.h"
#include "storage/sql/rows.h"
#include "storage/sql/soci_session.h"

namespace relais::storage {
namespace {

// Until a table is analyzed all its indexes look alike to the planner, and an index that only
// begins with the tenant is read from end to end. With the entries of an index dear and the way
// down to them free, a lookup by a whole unique key looks cheapest, and of what still looks the
// same the planner takes the index made last: the migrations make primary keys last.
constexpr std::string_view kByKey = "SET cpu_index_tuple_cost = 1; SET cpu_operator_cost = 0;";

// Writing statements find rows by key and nothing else: planned once, by index, and kept (so are
// the checks of foreign keys, which would be planned for each row otherwise).
constexpr char kWriterSettings[] =
    "SET client_min_messages = warning; SET jit = off; SET plan_cache_mode = force_generic_plan;"
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;"
    "SET enable_material = off; SET enable_memoize = off;"
    // A writer that hangs must not hold row locks for ever; what waits for one gives up first.
    "SET lock_timeout = '5s';"
    "SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s';"
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off';";

// Filters depend on their values: the server tries a statement with the values at hand first, and
// keeps a plan for all values when that looks no worse. To plan a list takes longer than to run it.
constexpr char kReaderSettings[] = "SET client_min_messages = warning; SET jit = off;";

constexpr char kMigratorSettings[] = "SET client_min_messages = warning";

// True when the login could see past row-level security, or change it.
constexpr char kNeedsRole[] =
    "SELECT r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, c.relowner, 'USAGE')"
    " FROM pg_roles r JOIN pg_class c ON c.oid = to_regclass('schema_migrations')"
    " WHERE r.rolname = current_user";

// A plan made while a table was small suits a large one badly. So plans are made anew whenever a
// session is twice as old, in transactions or in time, as when it made them, and once a minute at
// the least.
constexpr int64_t kMostTransactionsPerPlan = 4096;
constexpr std::chrono::milliseconds kMostTimePerPlan{60'000};

// What the setting statement_timeout can hold.
constexpr std::chrono::milliseconds kLongestStatement{std::numeric_limits<int32_t>::max()};

constexpr char kStaleRevision[] = "22012";  // division by zero: how a guarded UPDATE raises

// For statement_timeout, in milliseconds; 0 is no limit.
int64_t TimeLeft(std::chrono::steady_clock::time_point deadline) {
  if (deadline == Session::kNoDeadline) return 0;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::clamp(left, std::chrono::milliseconds(1), kLongestStatement).count();
}

std::string_view StateOf(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string_view() : std::string_view(state);
}

// ":p3" as "$3"; "::casts" and quoted text stay.
std::string Numbered(std::string_view sql) {
  std::string out;
  out.reserve(sql.size());
  bool quoted = false;
  for (size_t i = 0; i < sql.size(); ++i) {
    const char c = sql[i];
    if (c == '\'') quoted = !quoted;
    const bool placeholder = !quoted && c == ':' && i + 2 < sql.size() && sql[i + 1] == 'p' &&
                             std::isdigit(static_cast<unsigned char>(sql[i + 2])) != 0;
    if (placeholder) {
      out.push_back('$');
      ++i;
    } else {
      out.push_back(c);
    }
  }
  return out;
}

// Types of the server that results are made of (src/include/catalog/pg_type.dat). Values come in
// binary form: numbers in network byte order, UUIDs as 16 bytes, jsonb as a version and its text.
enum class Wire : uint8_t { kText, kUuid, kJsonb, kNumber };

absl::StatusOr<Wire> WireOf(Oid type, ColumnType wanted) {
  constexpr Oid kBool = 16, kInt8 = 20, kInt2 = 21, kInt4 = 23, kText = 25, kName = 19;
  constexpr Oid kUnknown = 705, kVarchar = 1043, kUuid = 2950, kJsonb = 3802;
  switch (type) {
    case kBool:
    case kInt2:
    case kInt4:
    case kInt8:
      if (wanted == ColumnType::kInteger) return Wire::kNumber;
      break;
    case kUuid:
      if (wanted != ColumnType::kInteger) return Wire::kUuid;
      break;
    case kJsonb:
      if (wanted != ColumnType::kInteger) return Wire::kJsonb;
      break;
    case kText:
    case kName:
    case kUnknown:
    case kVarchar:
      if (wanted != ColumnType::kInteger) return Wire::kText;
      break;
    default:
      break;
  }
  return absl::InternalError(Concat("a query gives a column of the type ", type));
}

std::string UuidText(const unsigned char* bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text(36, '-');
  size_t at = 0;
  for (size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    text[at++] = kHex[bytes[i] >> 4];
    text[at++] = kHex[bytes[i] & 15];
  }
  return text;
}

void ReadCell(const PGresult* result, int row, int column, Wire wire, Cell& out) {
  const char* value = PQgetvalue(result, row, column);
  const auto size = static_cast<size_t>(PQgetlength(result, row, column));
  if (size == 0 && PQgetisnull(result, row, column) != 0) {
    out = Cell();
    return;
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(value);
  switch (wire) {
    case Wire::kNumber: {
      // The first bit is the sign, whatever the width.
      uint64_t number = size < sizeof number && (bytes[0] & 0x80U) != 0 ? ~uint64_t{0} : 0;
      if (size == 1) number = 0;  // a boolean
      for (size_t i = 0; i < size; ++i) number = number << 8 | bytes[i];
      out.emplace<int64_t>(static_cast<int64_t>(number));
      return;
    }
    case Wire::kUuid:
      out.emplace<std::string>(UuidText(bytes));
      return;
    case Wire::kJsonb:
      out.emplace<std::string>(value + 1, size - 1);
      return;
    case Wire::kText:
      out.emplace<std::string>(value, size);
      return;
  }
}

}  // namespace

// ---- parameters ---------------------------------------------------------------------------------

// Values in the form libpq takes them. Texts of cells are not copied: they must live until the
// statement is sent.
class PostgresSession::Parameters {
 public:
  Parameters() = default;

  absl::Status Add(const Cell& cell) {
    if (const std::string* text = std::get_if<std::string>(&cell)) {
      // The edge refuses NUL; libpq would cut the text there.
      if (text->find('\0') != std::string::npos) return absl::InternalError("text with a NUL");
      values_.push_back({text, false});
    } else if (const int64_t* number = std::get_if<int64_t>(&cell)) {
      Own(Concat(*number), false);
    } else {
      values_.push_back({nullptr, false});
    }
    return absl::OkStatus();
  }
  void AddBinary(std::string bytes) { Own(std::move(bytes), true); }
  size_t size() const { return values_.size(); }

  bool Send(PGconn* connection, const std::string& name) const {
    std::vector<const char*> texts;
    std::vector<int> lengths, formats;
    for (const auto& [text, binary] : values_) {
      texts.push_back(text == nullptr ? nullptr : text->c_str());
      lengths.push_back(text == nullptr ? 0 : static_cast<int>(text->size()));
      formats.push_back(binary ? 1 : 0);
    }
    return PQsendQueryPrepared(connection, name.c_str(), static_cast<int>(values_.size()),
                               texts.data(), lengths.data(), formats.data(), kBinary) == 1;
  }

 private:
  static constexpr int kBinary = 1;

  void Own(std::string bytes, bool binary) {
    owned_.push_back(std::make_unique<std::string>(std::move(bytes)));
    values_.push_back({owned_.back().get(), binary});
  }

  std::vector<std::pair<const std::string*, bool>> values_;
  std::vector<std::unique_ptr<std::string>> owned_;
};

// The rows of a bulk statement as a table u(a1, a2, ...) of its FROM. Many rows go as one array a
// column through unnest(); of the few that a lonely call makes, each value is a parameter of its
// own, which is quicker to take apart than forty arrays of one element.
class PostgresSession::RowSource {
 public:
  explicit RowSource(size_t rows) : values_(rows <= kFewRows ? rows : 0) {}

  // Adds a column; the cells live until the statement is sent. Answers the expression that is its
  // value: "u.a3", "u.a3::jsonb".
  absl::StatusOr<std::string> Add(ColumnType type, absl::Span<const Row> rows, size_t column) {
    ++columns_;
    Append(names_, names_.empty() ? "a" : ", a", columns_);
    if (values_.empty()) {
      std::string array;
      RETURN_IF_ERROR(WriteArray(type, rows, column, array));
      params_.AddBinary(std::move(array));
      Append(arrays_, arrays_.empty() ? "" : ", ", Placeholder(params_.size()), "::", TypeOf(type),
             "[]");
    }
    for (size_t i = 0; i < values_.size(); ++i) {
      RETURN_IF_ERROR(params_.Add(rows[i][column]));
      Append(values_[i], values_[i].empty() ? "" : ", ", Placeholder(params_.size()),
             "::", TypeOf(type));
    }
    return Concat("u.a", columns_, type == ColumnType::kJson ? "::jsonb" : "");
  }
  // A value that all rows share.
  absl::StatusOr<std::string> Share(const Cell& cell, std::string_view type) {
    RETURN_IF_ERROR(params_.Add(cell));
    return Concat(Placeholder(params_.size()), "::", type);
  }
  std::string From() const {
    if (values_.empty()) return Concat("unnest(", arrays_, ") AS u(", names_, ")");
    std::string out = "(VALUES ";
    for (const std::string& row : values_) Append(out, &row == &values_[0] ? "(" : ", (", row, ")");
    return Concat(out, ") AS u(", names_, ")");
  }
  // With u.place, from 1 on.
  std::string FromNumbered() const {
    if (values_.empty()) {
      return Concat("unnest(", arrays_, ") WITH ORDINALITY AS u(", names_, ", place)");
    }
    std::string out = "(VALUES ";
    for (size_t i = 0; i < values_.size(); ++i) {
      Append(out, i == 0 ? "(" : ", (", values_[i], ", ", i + 1, "::bigint)");
    }
    return Concat(out, ") AS u(", names_, ", place)");
  }
  const Parameters& params() const { return params_; }

 private:
  static constexpr size_t kFewRows = 2;

  // JSON travels as text; each element is cast.
  static std::string_view TypeOf(ColumnType type) {
    switch (type) {
      case ColumnType::kUuid:
        return "uuid";
      case ColumnType::kInteger:
        return "bigint";
      case ColumnType::kText:
      case ColumnType::kJson:
        break;
    }
    return "text";
  }

  Parameters params_;
  size_t columns_ = 0;
  std::string arrays_, names_;
  std::vector<std::string> values_;  // of each row, when they are few
};

// ---- the connection -----------------------------------------------------------------------------

PostgresSession::PostgresSession(std::unique_ptr<soci::session> session,
                                 std::chrono::milliseconds commit_timeout)
    : soci_(std::move(session)),
      connection_(static_cast<soci::postgresql_session_backend*>(soci_->get_backend())->conn_),
      commit_timeout_(commit_timeout) {
  // Also keeps libpq from printing notices, which may quote values, to the standard error.
  PQsetNoticeReceiver(
      connection_,
      [](void* self, const PGresult*) { ++static_cast<PostgresSession*>(self)->warnings_; }, this);
}

PostgresSession::~PostgresSession() {
  reads_only_ = false;  // waits for the answer
  Rollback();
  // Closing talks to the server; one that is gone must not be waited for.
  if (!healthy()) Sever();
  PQsetNoticeReceiver(
      connection_, [](void*, const PGresult*) {}, nullptr);
}

absl::Status PostgresSession::Prepare(Purpose purpose) {
  if (purpose == Purpose::kMigrate) return Script(kMigratorSettings);
  RETURN_IF_ERROR(
      Script(Concat(purpose == Purpose::kWrite ? kWriterSettings : kReaderSettings, kByKey)));
  Result answer(PQexec(connection_, kNeedsRole));
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) {
    transaction_.MarkLost();
    return PostgresError(StateOf(answer.get()), PQstatus(connection_) == CONNECTION_OK, kNeedsRole);
  }
  if (PQntuples(answer.get()) == 1 && PQgetvalue(answer.get(), 0, 0)[0] == 't') {
    return Script("SET ROLE relais_app");
  }
  return absl::OkStatus();
}

absl::Status PostgresSession::Script(const std::string& sql) {
  if (transaction_.open()) RETURN_IF_ERROR(Drain());
  if (PQpipelineStatus(connection_) != PQ_PIPELINE_OFF && PQexitPipelineMode(connection_) == 0) {
    return Lost(sql);
  }
  Result result(PQexec(connection_, sql.c_str()));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return absl::OkStatus();
  absl::Status error =
      PostgresError(StateOf(result.get()), PQstatus(connection_) == CONNECTION_OK, sql);
  if (transaction_.open()) return transaction_.Fail(std::move(error));
  if (!IsConflict(error)) transaction_.MarkLost();
  return error;
}

absl::Status PostgresSession::Lost(std::string_view what) {
  absl::Status status = PostgresError({}, false, what);
  if (!transaction_.idle()) return transaction_.Fail(std::move(status));
  transaction_.MarkLost();
  return status;
}

CommitOutcome PostgresSession::NoAnswer() {
  transaction_.MarkLost();
  Sever();
  return CommitOutcome::kUnknown;
}

void PostgresSession::Sever() {
  if (int socket = PQsocket(connection_); socket >= 0) shutdown(socket, SHUT_RDWR);
}

// ---- sending and answers ------------------------------------------------------------------------

absl::StatusOr<PostgresSession::Statement> PostgresSession::Find(std::string_view sql) {
  if (auto found = by_sql_.find(sql); found != by_sql_.end()) {
    statements_.splice(statements_.begin(), statements_, found->second);
    return statements_.begin();
  }
  // Not for the end of a transaction that may have failed: closing would fail with it.
  if (statements_.size() >= kStatementCacheSize && transaction_.open()) DropOne();
  statements_.push_front({std::string(sql), Concat("s", next_name_++), false});
  const Statement statement = statements_.begin();
  by_sql_.emplace(statement->sql, statement);
  if (PQsendPrepare(connection_, statement->name.c_str(), Numbered(sql).c_str(), 0, nullptr) == 0) {
    return Lost(sql);
  }
  Pending pending;
  pending.kind = Pending::Kind::kPrepare;
  pending.statement = statement;
  pending_.push_back(std::move(pending));
  return statement;
}

// Closes the statement that was not used for the longest time.
void PostgresSession::DropOne() {
  const Statement last = std::prev(statements_.end());
  if (!last->ready) return;  // its answers are still to come
  if (PQsendQueryParams(connection_, Concat("DEALLOCATE ", last->name).c_str(), 0, nullptr, nullptr,
                        nullptr, nullptr, 0) == 0) {
    return;
  }
  // Answers to come may still point to it, for their errors.
  for (Pending& waiting : pending_) {
    if (waiting.statement == last) waiting.statement.reset();
  }
  pending_.emplace_back();
  by_sql_.erase(last->sql);
  statements_.erase(last);
}

absl::Status PostgresSession::Send(std::string_view sql, const Parameters& params,
                                   Pending pending) {
  if (PQpipelineStatus(connection_) == PQ_PIPELINE_OFF && PQenterPipelineMode(connection_) == 0) {
    return Lost(sql);
  }
  ASSIGN_OR_RETURN(Statement statement, Find(sql));
  pending.statement = statement;
  if (!params.Send(connection_, statement->name)) return Lost(sql);
  pending_.push_back(std::move(pending));
  return absl::OkStatus();
}

absl::Status PostgresSession::SendAndMaybeWait(std::string_view sql, const Parameters& params,
                                               Pending pending) {
  RETURN_IF_ERROR(Send(sql, params, std::move(pending)));
  return sends_ahead_ ? absl::OkStatus() : Drain();
}

bool PostgresSession::Receive(Clock::time_point deadline, Result& result) {
  if (deadline != Clock::time_point::max()) {
    while (PQisBusy(connection_) != 0) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return false;
      pollfd socket{PQsocket(connection_), POLLIN, 0};
      const int ready = poll(&socket, 1, static_cast<int>(left));
      if (ready < 0 && errno != EINTR) return false;
      if (ready > 0 && PQconsumeInput(connection_) == 0) return false;
    }
  }
  result.reset(PQgetResult(connection_));
  return PQstatus(connection_) == CONNECTION_OK || result != nullptr;
}

absl::Status PostgresSession::StatusOfResult(const Pending& pending, const PGresult* result) const {
  const std::string_view state = StateOf(result);
  if (pending.guarded != nullptr && state == kStaleRevision) {
    return ConflictError(Concat("stale revision in ", pending.guarded->name));
  }
  return PostgresError(state, PQstatus(connection_) == CONNECTION_OK,
                       pending.statement.has_value() ? std::string_view((*pending.statement)->sql)
                                                     : std::string_view("DEALLOCATE"));
}

bool PostgresSession::Refuses(const Pending& pending, const PGresult* result) {
  // The server never came to COMMIT; or it ran into a constraint or a conflict there.
  const std::string_view state = StateOf(result);
  return pending.kind != Pending::Kind::kCommit ||
         ((state.starts_with("23") || state.starts_with("40")) && state != "40003");
}

absl::Status PostgresSession::Take(const Pending& pending, const PGresult* result) {
  if (pending.kind == Pending::Kind::kPrepare) (*pending.statement)->ready = true;
  if (pending.kind == Pending::Kind::kCommit) {
    // A COMMIT of a failed transaction succeeds, with the tag ROLLBACK.
    committed_ = std::strcmp(PQcmdStatus(const_cast<PGresult*>(result)), "COMMIT") == 0;
  }
  if (pending.affected != nullptr) {
    const char* count = PQcmdTuples(const_cast<PGresult*>(result));
    *pending.affected = 0;
    std::from_chars(count, count + std::strlen(count), *pending.affected);
  }
  if (pending.numbers != nullptr) {
    if (PQntuples(result) != 1) return absl::InternalError("the tenant has no feed counter");
    Row row(2);
    ReadCell(result, 0, 0, Wire::kNumber, row[0]);
    ReadCell(result, 0, 1, Wire::kNumber, row[1]);
    *pending.numbers = {IntOr(row[0]), IntOr(row[1])};
  }
  if (pending.number != nullptr && PQntuples(result) == 1) {
    Row row(1);
    ReadCell(result, 0, 0, Wire::kNumber, row[0]);
    *pending.number = IntOr(row[0]);
  }
  if (pending.visit == nullptr) return absl::OkStatus();
  const size_t columns = pending.types.size();
  if (PQnfields(result) != static_cast<int>(columns)) {
    return absl::InternalError("a query gives another number of columns");
  }
  std::vector<Wire> wires(columns);
  for (size_t i = 0; i < columns; ++i) {
    ASSIGN_OR_RETURN(wires[i], WireOf(PQftype(result, static_cast<int>(i)), pending.types[i]));
  }
  const int count = PQntuples(result);
  Row cells;
  for (int row = 0; row < count; ++row) {
    cells.resize(columns);
    for (size_t i = 0; i < columns; ++i) {
      ReadCell(result, row, static_cast<int>(i), wires[i], cells[i]);
    }
    pending.visit(cells);
  }
  return absl::OkStatus();
}

absl::Status PostgresSession::Drain(Clock::time_point deadline) {
  if (PQpipelineStatus(connection_) == PQ_PIPELINE_OFF) return absl::OkStatus();
  if (!healthy() || PQpipelineSync(connection_) == 0) return Lost("sync");
  Pending sync;
  sync.kind = Pending::Kind::kSync;
  pending_.push_back(std::move(sync));
  absl::Status failed;
  while (!pending_.empty()) {
    const Pending pending = std::move(pending_.front());
    pending_.pop_front();
    Result result, end;
    // The answer to a statement is followed by a null; a sync point's is not.
    if (!Receive(deadline, result) || result == nullptr) {
      pending_.clear();
      transaction_.MarkLost();
      if (failed.ok()) failed = LostError("postgres: no answer");
      break;
    }
    if (pending.kind == Pending::Kind::kSync) continue;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
      absl::Status taken = Take(pending, result.get());
      if (failed.ok()) failed = taken;
    } else {
      if (failed.ok() && status != PGRES_PIPELINE_ABORTED) {
        failed = StatusOfResult(pending, result.get());
        refused_ = !IsLost(failed) && Refuses(pending, result.get());
      }
      // What was passed over is not prepared.
      if (pending.kind == Pending::Kind::kPrepare) {
        for (Pending& waiting : pending_) {
          if (waiting.statement == pending.statement) waiting.statement.reset();
        }
        by_sql_.erase((*pending.statement)->sql);
        statements_.erase(*pending.statement);
      }
    }
    if (PQstatus(connection_) != CONNECTION_OK || !Receive(deadline, end) || end != nullptr) {
      pending_.clear();
      transaction_.MarkLost();
      if (failed.ok()) failed = LostError("postgres: no answer");
      break;
    }
  }
  if (failed.ok()) return failed;
  if (!transaction_.idle()) return transaction_.Fail(std::move(failed));
  if (!IsConflict(failed)) transaction_.MarkLost();
  return failed;
}

// ---- transactions -------------------------------------------------------------------------------

absl::Status PostgresSession::Begin(const domain::TenantId& tenant, TransactionMode mode,
                                    std::chrono::steady_clock::time_point deadline) {
  if (!transaction_.idle()) return absl::InternalError("a transaction is open already");
  if (!healthy() || PQstatus(connection_) != CONNECTION_OK) return Lost("BEGIN");
  Parameters local;
  const Cell id(tenant.value);
  RETURN_IF_ERROR(local.Add(id));
  transaction_.Opened();
  reads_only_ = mode == TransactionMode::kRead;
  deadline_ = reads_only_ ? deadline : kNoDeadline;
  limited_ = false;
  sends_ahead_ = false;
  RETURN_IF_ERROR(PlanAnew());
  RETURN_IF_ERROR(Send(mode == TransactionMode::kWrite
                           ? "BEGIN ISOLATION LEVEL READ COMMITTED"
                           : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                       {}, {}));
  if (!reads_only_) return Send("SELECT set_config('app.tenant', :p1, true)", local, {});
  const Cell timeout(Concat(TimeLeft(deadline_)));
  RETURN_IF_ERROR(local.Add(timeout));
  return Send(
      "SELECT set_config('app.tenant', :p1, true), set_config('statement_timeout', :p2, true)",
      local, {});
}

absl::Status PostgresSession::LockConfigVersion(const domain::TenantId& tenant, bool alone,
                                                int64_t& version) {
  RETURN_IF_ERROR(transaction_.Usable());
  Parameters id;
  const Cell cell(tenant.value);
  RETURN_IF_ERROR(Kill(id.Add(cell)));
  version = 0;
  // A lock of the row would write to it, for every batch; this one stands in memory. The version is
  // read by a statement of its own, whose snapshot is younger than the lock.
  RETURN_IF_ERROR(Kill(Send(
      alone ? "SELECT pg_advisory_xact_lock(hashtextextended('relais.configuration ' || :p1, 0))"
            : "SELECT pg_advisory_xact_lock_shared(hashtextextended('relais.configuration ' || "
              ":p1, 0))",
      id, {})));
  Pending pending;
  pending.number = &version;
  return Kill(
      Send("SELECT config_version FROM tenants WHERE tenant_id = :p1", id, std::move(pending)));
}

absl::Status PostgresSession::PlanAnew() {
  const Clock::time_point now = Clock::now();
  if (++transactions_ < plan_at_transaction_ && now < plan_at_time_) return absl::OkStatus();
  plan_at_transaction_ = transactions_ + std::min(transactions_, kMostTransactionsPerPlan);
  plan_life_ = std::min(2 * plan_life_, kMostTimePerPlan);
  plan_at_time_ = now + plan_life_;
  RETURN_IF_ERROR(Send("DISCARD PLANS", {}, {}));
  // A sync point ends what the server takes for one transaction: BEGIN with an isolation level must
  // be the first of its own (SQLSTATE 25001).
  if (PQpipelineSync(connection_) != 1) return Lost("DISCARD PLANS");
  Pending sync;
  sync.kind = Pending::Kind::kSync;
  pending_.push_back(std::move(sync));
  return absl::OkStatus();
}

CommitOutcome PostgresSession::Commit() {
  if (!transaction_.open()) {
    Rollback();
    return CommitOutcome::kRolledBack;
  }
  committed_ = refused_ = false;
  warnings_ = 0;
  Pending pending;
  pending.kind = Pending::Kind::kCommit;
  absl::Status status = Send("COMMIT", {}, std::move(pending));
  if (status.ok()) status = Drain(Clock::now() + commit_timeout_);
  if (status.ok()) {
    transaction_.Closed();
    if (!committed_) return CommitOutcome::kRolledBack;
    // A warning, such as that of a wait for a standby that was given up, proves no durability.
    return warnings_ == 0 ? CommitOutcome::kCommitted : CommitOutcome::kUnknown;
  }
  if (!refused_ || PQstatus(connection_) != CONNECTION_OK) {
    transaction_.Closed();
    return NoAnswer();
  }
  Rollback();
  return CommitOutcome::kRolledBack;
}

void PostgresSession::Rollback() {
  sends_ahead_ = false;
  if (!healthy() || (transaction_.idle() && pending_.empty())) {
    pending_.clear();
    transaction_.Closed();
    return;
  }
  // After a sync point of its own, since an error makes the server pass over what follows it.
  bool sent = true;
  if (!pending_.empty() && pending_.back().kind != Pending::Kind::kSync) {
    sent = PQpipelineSync(connection_) == 1;
    Pending sync;
    sync.kind = Pending::Kind::kSync;
    pending_.push_back(std::move(sync));
  }
  transaction_.Closed();
  sent = sent && Send("ROLLBACK", {}, {}).ok();
  if (!sent) {
    transaction_.MarkLost();
    pending_.clear();
  } else if (reads_only_) {
    // Nobody waits for the end of a transaction that only read; its answer is taken by the next.
    Pending sync;
    sync.kind = Pending::Kind::kSync;
    if (PQpipelineSync(connection_) == 1) {
      pending_.push_back(std::move(sync));
    } else {
      transaction_.MarkLost();
      pending_.clear();
    }
  } else if (!Drain().ok()) {
    transaction_.MarkLost();
  }
}

// ---- statements ---------------------------------------------------------------------------------

absl::Status PostgresSession::Limit() {
  if (deadline_ == kNoDeadline) return absl::OkStatus();
  if (Clock::now() >= deadline_) return Kill(LostError("postgres: the deadline has passed"));
  // The server counts anew for each statement; the first has its limit from Begin.
  if (!std::exchange(limited_, true)) return absl::OkStatus();
  Parameters local;
  const Cell timeout(Concat(TimeLeft(deadline_)));
  RETURN_IF_ERROR(local.Add(timeout));
  return Send("SELECT set_config('statement_timeout', :p1, true)", local, Pending());
}

absl::Status PostgresSession::QueryEach(std::string_view sql, absl::Span<const Cell> params,
                                        absl::Span<const ColumnType> types,
                                        const RowVisitor& visit) {
  RETURN_IF_ERROR(transaction_.Usable());
  RETURN_IF_ERROR(Limit());
  Parameters values;
  for (const Cell& cell : params) RETURN_IF_ERROR(Kill(values.Add(cell)));
  Pending pending;
  pending.visit = visit;
  pending.types.assign(types.begin(), types.end());
  RETURN_IF_ERROR(Send(sql, values, std::move(pending)));
  return Drain();
}

absl::StatusOr<int64_t> PostgresSession::Execute(std::string_view sql,
                                                 absl::Span<const Cell> params) {
  RETURN_IF_ERROR(transaction_.Usable());
  Parameters values;
  for (const Cell& cell : params) RETURN_IF_ERROR(Kill(values.Add(cell)));
  int64_t affected = 0;
  Pending pending;
  pending.affected = &affected;
  RETURN_IF_ERROR(Send(sql, values, std::move(pending)));
  RETURN_IF_ERROR(Drain());
  return affected;
}

absl::Status PostgresSession::Send(std::string_view sql, absl::Span<const Cell> params) {
  RETURN_IF_ERROR(transaction_.Usable());
  Parameters values;
  for (const Cell& cell : params) RETURN_IF_ERROR(Kill(values.Add(cell)));
  return Kill(SendAndMaybeWait(sql, values, {}));
}

absl::Status PostgresSession::Kill(absl::Status status) {
  if (status.ok() || !transaction_.open()) return status;
  return transaction_.Fail(std::move(status));
}

absl::Status PostgresSession::InsertRows(const Table& table, absl::Span<const Row> rows) {
  return Kill(SendInsert(table, rows));
}

absl::Status PostgresSession::UpdateRows(const Table& table, absl::Span<const size_t> columns,
                                         absl::Span<const Row> rows,
                                         absl::Span<const int64_t> old_revisions) {
  return Kill(SendUpdate(table, columns, rows, old_revisions));
}

absl::Status PostgresSession::AppendEvents(const Table& events, const domain::TenantId& tenant,
                                           std::vector<Row> rows, domain::Timestamp now,
                                           EventNumbers& numbers) {
  return Kill(SendEvents(events, tenant, rows, now, numbers));
}

absl::Status PostgresSession::SendInsert(const Table& table, absl::Span<const Row> rows) {
  RETURN_IF_ERROR(transaction_.Usable());
  RETURN_IF_ERROR(CheckRows(table, rows));
  if (rows.empty()) return absl::OkStatus();
  RowSource source(rows.size());
  std::string columns, values;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    // A column that no row fills, as most of a lead's are, takes no part.
    if (std::all_of(rows.begin(), rows.end(), [i](const Row& row) { return IsNull(row[i]); })) {
      continue;
    }
    Append(columns, columns.empty() ? "" : ", ", table.columns[i].name);
    ASSIGN_OR_RETURN(std::string value, source.Add(table.columns[i].type, rows, i));
    Append(values, values.empty() ? "" : ", ", value);
  }
  return SendAndMaybeWait(Concat("INSERT INTO ", table.name, " (", columns, ") SELECT ", values,
                                 " FROM ", source.From()),
                          source.params(), {});
}

absl::Status PostgresSession::SendUpdate(const Table& table, absl::Span<const size_t> columns,
                                         absl::Span<const Row> rows,
                                         absl::Span<const int64_t> old_revisions) {
  RETURN_IF_ERROR(transaction_.Usable());
  RETURN_IF_ERROR(CheckRows(table, rows));
  if (rows.size() != old_revisions.size()) return absl::InternalError("revisions do not match");
  ASSIGN_OR_RETURN(std::vector<size_t> changed, ColumnsToUpdate(table, columns));
  if (rows.empty()) return absl::OkStatus();
  RowSource source(rows.size());
  std::string set, where;
  for (size_t column : changed) {
    ASSIGN_OR_RETURN(std::string value, source.Add(table.columns[column].type, rows, column));
    Append(set, set.empty() ? "" : ", ", table.columns[column].name, " = ", value);
  }
  for (size_t column : KeyColumns(table)) {
    ASSIGN_OR_RETURN(std::string value, source.Add(table.columns[column].type, rows, column));
    Append(where, "t.", table.columns[column].name, " = ", value, " AND ");
  }
  std::vector<Row> guards;
  guards.reserve(old_revisions.size());
  for (int64_t revision : old_revisions) guards.push_back({revision});
  ASSIGN_OR_RETURN(std::string guard, source.Add(ColumnType::kInteger, guards, 0));
  ASSIGN_OR_RETURN(std::string count,
                   source.Share(Cell(static_cast<int64_t>(rows.size())), "bigint"));
  // A row that is not there any more must raise here: COMMIT may be on its way already.
  Pending pending;
  pending.guarded = &table;
  return SendAndMaybeWait(
      Concat("WITH updated AS (UPDATE ", table.name, " AS t SET ", set, " FROM ", source.From(),
             " WHERE ", where, "t.revision = ", guard,
             " RETURNING 1) SELECT 1 / (count(*) = ", count, ")::int FROM updated"),
      source.params(), std::move(pending));
}

absl::Status PostgresSession::SendEvents(const Table& events, const domain::TenantId& tenant,
                                         absl::Span<const Row> rows, domain::Timestamp now,
                                         EventNumbers& numbers) {
  RETURN_IF_ERROR(transaction_.Usable());
  RETURN_IF_ERROR(CheckRows(events, rows));
  if (rows.empty()) return absl::InternalError("no events");
  RowSource source(rows.size());
  const Cell owner(tenant.value);
  ASSIGN_OR_RETURN(std::string of, source.Share(owner, "text"));
  ASSIGN_OR_RETURN(std::string count,
                   source.Share(Cell(static_cast<int64_t>(rows.size())), "bigint"));
  ASSIGN_OR_RETURN(std::string time, source.Share(Cell(now.micros), "bigint"));
  std::string columns, values;
  for (size_t i = 0; i < events.columns.size(); ++i) {
    const std::string& name = events.columns[i].name;
    std::string value;
    if (name == "number" || name == "record_time") {
      value = Concat("c.last_", name == "number" ? "number" : "time", " - ", count, " + u.place");
    } else if (std::all_of(rows.begin(), rows.end(),
                           [i](const Row& row) { return IsNull(row[i]); })) {
      continue;
    } else {
      ASSIGN_OR_RETURN(value, source.Add(events.columns[i].type, rows, i));
    }
    Append(columns, columns.empty() ? "" : ", ", name);
    Append(values, values.empty() ? "" : ", ", value);
  }
  // A tenant without a counter must raise here: COMMIT may be on its way already.
  Pending pending;
  pending.numbers = &numbers;
  return SendAndMaybeWait(
      Concat("WITH c AS (UPDATE feed_counters SET last_number = last_number + ", count,
             ", last_time = greatest(last_time + 1, ", time, ") + ", count,
             " - 1 WHERE tenant_id = ", of,
             " RETURNING last_number, last_time), "
             "e AS (INSERT INTO ",
             events.name, " (", columns, ") SELECT ", values, " FROM c CROSS JOIN ",
             source.FromNumbered(),
             ") SELECT c.last_number, c.last_time"
             " FROM (SELECT 1 / count(*) AS there FROM c) AS g LEFT JOIN c ON g.there = 1"),
      source.params(), std::move(pending));
}

absl::StatusOr<std::vector<std::vector<Row>>> PostgresSession::Select(
    const domain::TenantId& tenant, std::vector<Selection> selections) {
  RETURN_IF_ERROR(transaction_.Usable());
  RETURN_IF_ERROR(Limit());
  std::vector<std::vector<Row>> rows(selections.size());
  for (size_t i = 0; i < selections.size(); ++i) {
    RETURN_IF_ERROR(Kill(SendSelection(tenant, std::move(selections[i]), rows[i])));
  }
  if (!pending_.empty()) RETURN_IF_ERROR(Drain());
  return rows;
}

absl::Status PostgresSession::SendSelection(const domain::TenantId& tenant, Selection selection,
                                            std::vector<Row>& rows) {
  const auto& [table, match, keys, lock] = selection;
  ASSIGN_OR_RETURN(std::vector<size_t> columns, NamedColumns(table, match));
  ASSIGN_OR_RETURN(std::vector<Row> distinct,
                   DistinctKeys(std::move(selection.keys), match.size()));
  if (distinct.empty()) return absl::OkStatus();
  RowSource source(distinct.size());
  std::string list, order, on;
  for (const Column& column : table.columns) {
    Append(list, list.empty() ? "t." : ", t.", column.name);
  }
  for (size_t m = 0; m < columns.size(); ++m) {
    ASSIGN_OR_RETURN(std::string value, source.Add(table.columns[columns[m]].type, distinct, m));
    Append(on, " AND t.", match[m], " = ", value);
  }
  const Cell owner(tenant.value);
  ASSIGN_OR_RETURN(std::string of, source.Share(owner, "text"));
  // Rows come in the order of the keys; when those are no key of the table, they are sorted.
  if (!std::equal(match.begin(), match.end(), table.key.begin() + 1, table.key.end())) {
    for (const std::string& name : table.key) {
      Append(order, order.empty() ? " ORDER BY t." : ", t.", name);
    }
  }
  // The rows of each key are looked up for themselves, in the order of the keys: OFFSET 0 keeps
  // the planner from reading the table first and the keys for each of its rows.
  Pending pending;
  pending.visit = [&rows](Row& row) { rows.push_back(std::move(row)); };
  pending.types = TypesOf(table);
  return Send(
      Concat("SELECT ", list, " FROM ", source.From(), " CROSS JOIN LATERAL (SELECT t.* FROM ",
             table.name, " AS t WHERE t.tenant_id = ", of, on, lock ? " FOR UPDATE" : "",
             " OFFSET 0) AS t", order),
      source.params(), std::move(pending));
}

}  // namespace relais::storage
