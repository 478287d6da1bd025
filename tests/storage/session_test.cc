// What a Session and a Database promise (storage/engine/session.h): one suite, run on SQLite and on
// PostgreSQL. What only one engine can show is in the tests named after it at the end.
#include "storage/engine/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "server/domain/concat.h"
#include "server/domain/directory.h"
#include "server/domain/faults.h"
#include "server/domain/fields.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/segment.h"
#include "storage/postgres/postgres_database.h"
#include "storage/sql/rows.h"
#include "storage/sql/soci_session.h"
#include "storage/sql/tables.h"
#include "storage/sqlite/sqlite_database.h"
#include "tests/storage/pg_cluster.h"

namespace relais::storage {
namespace {

using domain::Assessment;
using domain::Consent;
using domain::Field;
using domain::FieldsOf;
using domain::FieldType;
using domain::Import;
using domain::Lead;
using domain::LeadId;
using domain::Money;
using domain::Operation;
using domain::Opportunity;
using domain::Team;
using domain::TenantId;
using domain::Timestamp;
using domain::Touchpoint;
using domain::User;
using domain::Value;
using domain::ValueList;
using domain::ValueMap;
using ::relais::testing::PgCluster;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr ColumnType kInteger = ColumnType::kInteger;
constexpr ColumnType kText = ColumnType::kText;

#define ASSERT_OK(expr)                      \
  do {                                       \
    absl::Status ok_ = StatusIn(expr);       \
    ASSERT_TRUE(ok_.ok()) << ok_.ToString(); \
  } while (false)
#define EXPECT_OK(expr)                      \
  do {                                       \
    absl::Status ok_ = StatusIn(expr);       \
    EXPECT_TRUE(ok_.ok()) << ok_.ToString(); \
  } while (false)

absl::Status StatusIn(const absl::Status& status) { return status; }
template <class T>
absl::Status StatusIn(const absl::StatusOr<T>& result) {
  return result.status();
}

// Everything that one of the quoting rules between here and the disk could trip over.
const char kHostile[] =
    "O'Brien \"x\" \\ \\\\ {a,b} NULL :p1 ::text $1 % _ -- /* é 漢字 😀 \xC2\xA0\t\r\n;DROP";

std::string Uuid(int64_t number) {
  char text[37];
  snprintf(text, sizeof text, "01900000-0000-7000-8000-%012llx",
           static_cast<unsigned long long>(number));  // NOLINT(google-runtime-int)
  return text;
}

const TenantId& Default() {
  static const TenantId* const kTenant = new TenantId("default");
  return *kTenant;
}

// Sets every field of an entity's table to a value that is not absent, and checks that it took it.
template <class E>
void Fill(E& entity, bool extreme) {
  int64_t n = 0;
  for (const Field<E>& field : FieldsOf<E>()) {
    ++n;
    std::string text = Concat(extreme ? kHostile : "text ", field.spec.path);
    Value value;
    switch (field.spec.type) {
      case FieldType::kBool:
        value = Value(true);
        break;
      case FieldType::kInt:
        value = Value(extreme ? (n % 2 == 0 ? kMax : kMin) : n);
        break;
      case FieldType::kText:
      case FieldType::kBlob:
        value = Value(text);
        break;
      case FieldType::kTime:
        value = Value(Timestamp{extreme ? (n % 2 == 0 ? kMin : kMax) : 1'700'000'000'000'000 + n});
        break;
      case FieldType::kEnum:
        value = Value(static_cast<int64_t>(extreme ? field.spec.enumeration->names.size() - 1 : 1));
        break;
      case FieldType::kMoney:
        value = Value(extreme ? Money{"JPY", kMin, -999'999'999} : Money{"EUR", n, 10});
        break;
      case FieldType::kTextList:
        value = Value(ValueList{Value(text), Value(extreme ? "" : "b"), Value(text)});
        break;
      case FieldType::kTextMap:
        value = Value(ValueMap{{"a", Value(text)}, {extreme ? text : "b", Value("")}});
        break;
      case FieldType::kRecordList: {
        ValueMap whole, part;
        for (std::string_view member : field.spec.members) {
          whole.emplace(std::string(member), Value(Concat(text, member)));
          if (part.empty()) part.emplace(std::string(member), Value("only"));
        }
        value = Value(ValueList{Value(whole), Value(part)});
        break;
      }
    }
    field.set(entity, value);
    ASSERT_EQ(field.get(entity), value) << field.spec.path;
  }
}

// One engine with a database of its own for each test.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::unique_ptr<Database> Connect() = 0;
  // SQL past the sessions, as the owner of the database; answers "a|b" a row.
  virtual std::string Admin(const std::string& sql) = 0;
};

class SqliteEngine final : public Engine {
 public:
  SqliteEngine() {
    std::string name = (std::filesystem::temp_directory_path() / "relais-sqlite-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder");
    folder_ = name;
  }
  ~SqliteEngine() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  // A blank in the name, because SOCI's connection strings are split at blanks.
  std::string path() const { return folder_ + "/a database.db"; }
  std::unique_ptr<Database> Connect() override {
    return MakeSqliteDatabase({.path = path(), .busy_timeout = busy_timeout});
  }
  std::string Admin(const std::string& sql) override {
    sqlite3* connection = nullptr;
    EXPECT_EQ(sqlite3_open(path().c_str(), &connection), SQLITE_OK);
    std::string out;
    auto keep = [](void* to, int count, char** values, char**) {
      std::string& text = *static_cast<std::string*>(to);
      for (int i = 0; i < count; ++i) {
        Append(text, i == 0 ? "" : "|", values[i] == nullptr ? "" : values[i]);
      }
      text += "\n";
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(connection, sql.c_str(), keep, &out, nullptr), SQLITE_OK)
        << sqlite3_errmsg(connection);
    sqlite3_close(connection);
    return out;
  }

  std::chrono::milliseconds busy_timeout{5000};

 private:
  std::string folder_;
};

class PostgresEngine final : public Engine {
 public:
  PostgresEngine() : name_(PgCluster::Shared().CreateDatabase()) {}
  ~PostgresEngine() override { PgCluster::Shared().DropDatabase(name_); }
  std::unique_ptr<Database> Connect() override {
    return MakePostgresDatabase(
        {.dsn = PgCluster::Shared().DSN(name_, user), .commit_timeout = commit_timeout});
  }
  std::string Admin(const std::string& sql) override {
    return PgCluster::Shared().Execute(name_, sql);
  }
  const std::string& name() const { return name_; }

  std::string user = "postgres";
  std::chrono::milliseconds commit_timeout{10'000};

 private:
  std::string name_;
};

template <class EngineType>
class Base : public ::testing::Test {
 protected:
  void Start() {
    database_ = engine().Connect();
    ASSERT_OK(database_->Migrate());
    session_ = Open(TransactionMode::kWrite);
    ASSERT_NE(session_, nullptr);
  }
  // Sessions end before their database is dropped.
  void TearDown() override { session_.reset(); }

  std::unique_ptr<Session> Open(TransactionMode mode) {
    absl::StatusOr<std::unique_ptr<Session>> session = database_->Open(mode);
    EXPECT_OK(session);
    return session.ok() ? *std::move(session) : nullptr;
  }
  EngineType& engine() { return *engine_; }

  void Begin() { ASSERT_OK(session_->Begin(Default(), TransactionMode::kWrite)); }
  void Commit() { ASSERT_EQ(session_->Commit(), CommitOutcome::kCommitted); }
  void Insert(const Table& table, const std::vector<Row>& rows) {
    Begin();
    ASSERT_OK(session_->InsertRows(table, rows));
    Commit();
  }
  void InsertLead(int64_t number) {
    Lead lead;
    lead.id = LeadId(Uuid(number));
    lead.revision = 1;
    Insert(TableOf<Lead>(), {ToRow(Default(), lead)});
  }
  Row Batch(int64_t number, const TenantId& tenant = Default()) {
    return Row{tenant.value, Uuid(number), int64_t{1}};
  }
  // In a transaction of its own.
  int64_t Count(Session& session, const std::string& table, const TenantId& tenant = Default()) {
    EXPECT_OK(session.Begin(tenant, TransactionMode::kRead));
    int64_t count = CountNow(session, table, tenant);
    session.Rollback();
    return count;
  }
  int64_t CountNow(Session& session, const std::string& table, const TenantId& tenant = Default()) {
    auto rows = session.Query(Concat("SELECT count(*) FROM ", table, " WHERE tenant_id = :p1"),
                              {Cell(tenant.value)}, {kInteger});
    EXPECT_OK(rows);
    return rows.ok() && rows->size() == 1 ? IntOr((*rows)[0][0], -1) : -1;
  }

  std::unique_ptr<EngineType> engine_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Session> session_;
};

class SessionTest : public Base<Engine>, public ::testing::WithParamInterface<Dialect> {
 protected:
  void SetUp() override {
    if (GetParam() == Dialect::kSqlite) {
      engine_ = std::make_unique<SqliteEngine>();
    } else {
      engine_ = std::make_unique<PostgresEngine>();
    }
    Start();
  }
  bool postgres() const { return GetParam() == Dialect::kPostgres; }

  // Writes the entity, reads it back through the bulk form, and through a plain query.
  template <class E>
  void RoundTrip(const E& entity) {
    const Table& table = TableOf<E>();
    Insert(table, {ToRow(Default(), entity)});
    Begin();
    auto rows = session_->SelectRows(table, Default(), {table.key[1]},
                                     std::vector<Row>{{entity.id.value}}, true);
    ASSERT_OK(rows);
    ASSERT_THAT(*rows, SizeIs(1));
    absl::StatusOr<E> read = FromRow<E>(rows->front());
    ASSERT_OK(read);
    for (const Field<E>& field : FieldsOf<E>()) {
      EXPECT_EQ(field.get(*read), field.get(entity)) << table.name << "." << field.spec.path;
    }
    EXPECT_EQ(*read, entity) << table.name;
    Commit();
  }

  template <class E>
  E Make(int64_t number, int filling) {
    E entity;
    entity.id.value = Uuid(number);
    if constexpr (requires { entity.revision; }) entity.revision = filling == 2 ? kMax : 1;
    if constexpr (requires { entity.lead.value; }) entity.lead.value = Uuid(1);
    if (filling > 0) Fill(entity, filling == 2);
    return entity;
  }
  void RoundTripAll(int filling) {
    RoundTrip(Make<Lead>(1, filling));
    RoundTrip(Make<Touchpoint>(2, filling));
    RoundTrip(Make<Consent>(3, filling));
    RoundTrip(Make<Assessment>(4, filling));
    RoundTrip(Make<Opportunity>(5, filling));
    RoundTrip(Make<User>(6, filling));
    RoundTrip(Make<Team>(7, filling));
    RoundTrip(Make<Import>(8, filling));
    RoundTrip(Make<Operation>(9, filling));
    RoundTrip(Make<domain::Calendar>(10, filling));
    RoundTrip(Make<domain::Handoff>(11, filling));
    RoundTrip(Make<domain::Segment>(12, filling));
  }
};

// ---- rows ---------------------------------------------------------------------------------------

TEST_P(SessionTest, EveryFieldComesBackAsItWasWritten) { RoundTripAll(1); }
TEST_P(SessionTest, HostileTextAndExtremeNumbersComeBackAsTheyWereWritten) { RoundTripAll(2); }
TEST_P(SessionTest, AbsentFieldsComeBackAbsent) { RoundTripAll(0); }

TEST_P(SessionTest, ColumnsOfTheDatabaseAreThoseOfTheFieldTables) {
  for (const Table* table : AllTables()) {
    SCOPED_TRACE(table->name);
    std::string out;
    std::vector<std::string> wanted;
    for (const Column& column : table->columns) {
      std::string type;
      switch (column.type) {
        case ColumnType::kInteger:
          type = postgres() ? "bigint" : "BIGINT";
          break;
        case ColumnType::kText:
          type = postgres() ? "text" : "TEXT";
          break;
        case ColumnType::kUuid:
          type = postgres() ? "uuid" : "TEXT";
          break;
        case ColumnType::kJson:
          type = postgres() ? "jsonb" : "TEXT";
          break;
      }
      wanted.push_back(Concat(column.name, "|", type));
    }
    std::string key;
    if (postgres()) {
      out = engine().Admin(Concat(
          "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '",
          table->name, "' ORDER BY ordinal_position"));
      key = engine().Admin(
          Concat("SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY k(num, ord), "
                 "pg_attribute a WHERE i.indrelid = '",
                 table->name,
                 "'::regclass AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.num "
                 "ORDER BY k.ord"));
    } else {
      out = engine().Admin(
          Concat("SELECT name, type FROM pragma_table_info('", table->name, "') ORDER BY cid"));
      key = engine().Admin(Concat("SELECT name FROM pragma_table_info('", table->name,
                                  "') WHERE pk > 0 ORDER BY pk"));
    }
    std::vector<std::string> found = absl::StrSplit(out, '\n', absl::SkipEmpty());
    EXPECT_EQ(found, wanted);
    std::vector<std::string> primary = absl::StrSplit(key, '\n', absl::SkipEmpty());
    EXPECT_EQ(primary, table->key);
  }
}

TEST_P(SessionTest, AnUpdateWritesTheNamedColumnsAndTheRevisionOnly) {
  Lead lead = Make<Lead>(1, 1);
  Insert(TableOf<Lead>(), {ToRow(Default(), lead)});
  Lead changed = lead;
  changed.revision = 2;
  changed.score = kMax;
  changed.person.emails.clear();
  changed.estimated_value.reset();
  changed.labels = {{"k", kHostile}};
  changed.grade = "not named, so not written";
  const Table& table = TableOf<Lead>();
  std::vector<size_t> columns = {ColumnIndex(table, "labels"),
                                 ColumnIndex(table, "score"),
                                 ColumnIndex(table, "person_emails"),
                                 ColumnIndex(table, "estimated_value_units"),
                                 ColumnIndex(table, "estimated_value_nanos"),
                                 ColumnIndex(table, "estimated_value_currency_code")};
  Begin();
  ASSERT_OK(session_->UpdateRows(table, columns, {ToRow(Default(), changed)}, {1}));
  auto rows =
      session_->SelectRows(table, Default(), {"lead_id"}, std::vector<Row>{{Uuid(1)}}, false);
  ASSERT_OK(rows);
  Commit();
  changed.grade = lead.grade;
  EXPECT_EQ(*FromRow<Lead>(rows->front()), changed);
}

TEST_P(SessionTest, ManyRowsAreWrittenAndUpdatedAtOnce) {
  std::vector<Row> rows;
  std::vector<Lead> leads;
  for (int64_t i = 1; i <= 200; ++i) {
    leads.push_back(Make<Lead>(i, static_cast<int>(i % 3)));
    leads.back().revision = i;
    rows.push_back(ToRow(Default(), leads.back()));
  }
  Insert(TableOf<Lead>(), rows);
  rows.clear();
  std::vector<int64_t> revisions;
  std::vector<Row> keys;
  for (Lead& lead : leads) {
    revisions.push_back(lead.revision++);
    lead.owner = Concat("users/", lead.revision);
    rows.push_back(ToRow(Default(), lead));
    keys.push_back({lead.id.value});
  }
  Begin();
  ASSERT_OK(session_->UpdateRows(TableOf<Lead>(), {ColumnIndex(TableOf<Lead>(), "owner")}, rows,
                                 revisions));
  auto read = session_->SelectRows(TableOf<Lead>(), Default(), {"lead_id"}, keys, true);
  ASSERT_OK(read);
  Commit();
  ASSERT_THAT(*read, SizeIs(leads.size()));
  for (size_t i = 0; i < leads.size(); ++i) EXPECT_EQ(*FromRow<Lead>((*read)[i]), leads[i]);
}

TEST_P(SessionTest, EmptyBulkCallsDoNothing) {
  Begin();
  EXPECT_OK(session_->InsertRows(BatchesTable(), {}));
  EXPECT_OK(session_->UpdateRows(TableOf<Lead>(), {}, {}, {}));
  auto rows = session_->SelectRows(TableOf<Lead>(), Default(), {"lead_id"}, {}, true);
  ASSERT_OK(rows);
  EXPECT_THAT(*rows, IsEmpty());
  Commit();
}

TEST_P(SessionTest, SelectionIsByWholeKeyOnceEachInTheOrderOfTheTable) {
  InsertLead(1);
  InsertLead(2);
  Insert(LeadIdentitiesTable(),
         {Row{"default", int64_t{1}, "b", Uuid(2)}, Row{"default", int64_t{1}, "é", Uuid(1)},
          Row{"default", int64_t{2}, "B", Uuid(1)}, Row{"default", int64_t{2}, "a", Uuid(1)}});
  Begin();
  auto rows = session_->SelectRows(LeadIdentitiesTable(), Default(), {"kind", "value"},
                                   std::vector<Row>{{int64_t{2}, "a"},
                                                    {int64_t{2}, "B"},
                                                    {int64_t{2}, "a"},
                                                    {int64_t{1}, "a"},
                                                    {int64_t{1}, "é"},
                                                    {int64_t{1}, Cell()},
                                                    {int64_t{1}, "b"}},
                                   true);
  ASSERT_OK(rows);
  std::vector<std::string> values;
  for (const Row& row : *rows) values.push_back(Concat(IntOr(row[1]), TextOf(row[2])));
  // By bytes: "B" before "a" before "b", and "é" last.
  EXPECT_THAT(values, ElementsAre("1b", "1é", "2B", "2a"));

  rows = session_->SelectRows(LeadIdentitiesTable(), Default(), {"lead_id"},
                              std::vector<Row>{{Uuid(1)}, {Uuid(3)}}, false);
  ASSERT_OK(rows);
  EXPECT_THAT(*rows, SizeIs(3));
  EXPECT_FALSE(session_
                   ->SelectRows(LeadIdentitiesTable(), Default(), {"nothing"},
                                std::vector<Row>{{"x"}}, false)
                   .ok());
}

TEST_P(SessionTest, RowsOfAnotherTenantAreNotSelected) {
  TenantId other("other");
  Insert(BatchesTable(), {Batch(1)});
  ASSERT_OK(session_->Begin(other, TransactionMode::kWrite));
  ASSERT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1, other)}));
  auto rows =
      session_->SelectRows(BatchesTable(), other, {"batch_id"}, std::vector<Row>{{Uuid(1)}}, true);
  ASSERT_OK(rows);
  ASSERT_THAT(*rows, SizeIs(1));
  EXPECT_EQ(TextOf(rows->front()[0]), "other");
  Commit();
  EXPECT_EQ(Count(*session_, "batches"), 1);
  EXPECT_EQ(Count(*session_, "batches", other), 1);
}

// ---- statements ---------------------------------------------------------------------------------

TEST_P(SessionTest, ParametersAndResultsKeepTheirKindAndTheirNulls) {
  Begin();
  std::vector<Cell> cells = {kMax, kMin, int64_t{0}, kHostile, "", Cell()};
  ASSERT_OK(session_->Execute(
      "INSERT INTO reactions (tenant_id, name, position, owner, lease_until, fence) "
      "VALUES ('default', 'n:ot'':p9', :p1, :p4, :p2, :p3)",
      absl::MakeConstSpan(cells).subspan(0, 4)));
  auto rows = session_->Query(
      "SELECT name, position, owner, lease_until, fence, CAST(NULL AS BIGINT), CAST(NULL AS TEXT) "
      "FROM reactions WHERE tenant_id = :p1 AND position = :p2",
      {Cell("default"), Cell(kMax)}, {kText, kInteger, kText, kInteger, kInteger, kInteger, kText});
  ASSERT_OK(rows);
  ASSERT_THAT(*rows, SizeIs(1));
  EXPECT_EQ(rows->front(), (Row{"n:ot':p9", kMax, kHostile, kMin, int64_t{0}, Cell(), Cell()}));

  // NULL where another value was before, in the same cached statement; and back.
  constexpr char kSql[] =
      "INSERT INTO request_log VALUES ('default', 'p', :p1, 'm', 'd', 'r', :p2, 5)";
  for (int64_t i = 0; i < 4; ++i) {
    ASSERT_OK(session_->Execute(kSql, {Cell(Uuid(i)), i % 2 == 0 ? Cell("note") : Cell()}));
  }
  rows = session_->Query(
      "SELECT note FROM request_log WHERE tenant_id = 'default' ORDER BY "
      "request_id",
      {}, {kText});
  ASSERT_OK(rows);
  EXPECT_THAT(*rows, ElementsAre(Row{"note"}, Row{Cell()}, Row{"note"}, Row{Cell()}));
  Commit();
}

TEST_P(SessionTest, APlaceholderMayStandTwiceAndInAnyOrder) {
  Insert(BatchesTable(), {Batch(1), Batch(2), Batch(3)});
  Begin();
  auto rows = session_->Query(
      "SELECT batch_id FROM batches WHERE tenant_id = :p2 AND (batch_id = :p3 OR batch_id = :p1) "
      "AND batch_id <> :p4 AND tenant_id = :p2 ORDER BY batch_id",
      {Cell(Uuid(3)), Cell("default"), Cell(Uuid(1)), Cell(Uuid(2))}, {ColumnType::kUuid});
  ASSERT_OK(rows);
  EXPECT_THAT(*rows, ElementsAre(Row{Uuid(1)}, Row{Uuid(3)}));
  Commit();
}

TEST_P(SessionTest, AffectedRowsAreCounted) {
  Insert(BatchesTable(), {Batch(1), Batch(2), Batch(3)});
  Begin();
  auto changed = session_->Execute("UPDATE batches SET create_time = :p1 WHERE tenant_id = :p2",
                                   {Cell(int64_t{9}), Cell("default")});
  ASSERT_OK(changed);
  EXPECT_EQ(*changed, 3);
  changed = session_->Execute("DELETE FROM batches WHERE tenant_id = :p1 AND create_time = :p2",
                              {Cell("default"), Cell(int64_t{8})});
  ASSERT_OK(changed);
  EXPECT_EQ(*changed, 0);
  auto returned = session_->Query(
      "UPDATE feed_counters SET last_number = last_number + :p1 WHERE tenant_id = :p2 "
      "RETURNING last_number",
      {Cell(int64_t{4}), Cell("default")}, {kInteger});
  ASSERT_OK(returned);
  EXPECT_THAT(*returned, ElementsAre(Row{int64_t{4}}));
  Commit();
}

TEST_P(SessionTest, LargeTextsComeBackWhole) {
  InsertLead(1);
  Touchpoint touchpoint = Make<Touchpoint>(2, 0);
  for (int i = 0; i < 400'000; ++i) touchpoint.body += "\"é{},\\";
  touchpoint.properties = {{"large", touchpoint.body}};
  RoundTrip(touchpoint);
}

TEST_P(SessionTest, ManyRowsAreReadToTheEnd) {
  std::vector<Row> rows;
  for (int64_t i = 0; i < 5000; ++i) rows.push_back(Batch(i));
  Insert(BatchesTable(), rows);
  Begin();
  auto read =
      session_->Query("SELECT batch_id FROM batches WHERE tenant_id = :p1 ORDER BY batch_id",
                      {Cell("default")}, {ColumnType::kUuid});
  ASSERT_OK(read);
  ASSERT_THAT(*read, SizeIs(5000));
  EXPECT_EQ(TextOf(read->back()[0]), Uuid(4999));
  Commit();
}

TEST_P(SessionTest, MoreStatementsThanTheCacheHoldsStayRight) {
  Insert(BatchesTable(), {Batch(1)});
  Begin();
  for (int round = 0; round < 2; ++round) {
    for (size_t i = 0; i < kStatementCacheSize + 50; ++i) {
      auto rows = session_->Query(
          Concat("SELECT create_time + ", i, " + :p1 FROM batches WHERE tenant_id = :p2"),
          {Cell(int64_t{round}), Cell("default")}, {kInteger});
      ASSERT_OK(rows);
      ASSERT_EQ(IntOr((*rows)[0][0]), static_cast<int64_t>(i) + 1 + round);
    }
  }
  if (postgres()) {
    auto kept = session_->Query("SELECT count(*) FROM pg_prepared_statements", {}, {kInteger});
    ASSERT_OK(kept);
    EXPECT_LE(IntOr((*kept)[0][0]), static_cast<int64_t>(kStatementCacheSize));
    EXPECT_GE(IntOr((*kept)[0][0]), static_cast<int64_t>(kStatementCacheSize) - 1);
  }
  Commit();
}

TEST_P(SessionTest, ErrorsNeverHoldWhatWasBound) {
  InsertLead(1);
  Insert(LeadIdentitiesTable(), {Row{"default", int64_t{2}, "secret@example.org", Uuid(1)}});
  Begin();
  absl::Status status = session_->InsertRows(
      LeadIdentitiesTable(),
      std::vector<Row>{{"default", int64_t{2}, "secret@example.org", Uuid(1)}});
  EXPECT_TRUE(IsConflict(status));
  EXPECT_THAT(status.ToString(), Not(HasSubstr("secret")));
  session_->Rollback();
  Begin();
  status = session_->Execute("INSERT INTO no_such_table VALUES (:p1, 'secret')", {Cell("secret")})
               .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.ToString(), Not(HasSubstr("secret")));
  EXPECT_THAT(status.ToString(), HasSubstr("no_such_table"));
}

TEST_P(SessionTest, TextWithANulIsRefusedAndNotCut) {
  Begin();
  absl::Status status = session_
                            ->Execute("INSERT INTO reactions VALUES ('default', :p1, 0, '', 0, 0)",
                                      {Cell(std::string("a\0b", 3))})
                            .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
}

// ---- conflicts ----------------------------------------------------------------------------------

TEST_P(SessionTest, ATakenKeyIsAConflictThatKillsTheTransactionButNotTheSession) {
  Insert(BatchesTable(), {Batch(1)});
  Begin();
  ASSERT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(2)}));
  absl::Status status = session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1), Batch(3)});
  EXPECT_TRUE(IsConflict(status)) << status;
  EXPECT_FALSE(IsLost(status));
  // What follows in the dead transaction gets the same answer, on both engines.
  EXPECT_EQ(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(4)}), status);
  EXPECT_EQ(session_->Query("SELECT 1", {}, {kInteger}).status(), status);
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
  EXPECT_TRUE(session_->healthy());
  EXPECT_EQ(Count(*session_, "batches"), 1);
  Insert(BatchesTable(), {Batch(2)});
  EXPECT_EQ(Count(*session_, "batches"), 2);
}

TEST_P(SessionTest, AMissingParentIsAConflict) {
  Begin();
  absl::Status status = session_->InsertRows(
      LeadIdentitiesTable(), std::vector<Row>{{"default", int64_t{2}, "a", Uuid(77)}});
  EXPECT_TRUE(IsConflict(status)) << status;
  session_->Rollback();
  Begin();
  status =
      session_->InsertRows(TableOf<Opportunity>(), {ToRow(Default(), Make<Opportunity>(5, 0))});
  EXPECT_TRUE(IsConflict(status)) << status;
  session_->Rollback();
  EXPECT_TRUE(session_->healthy());
}

TEST_P(SessionTest, AStaleRevisionIsAConflictAndNothingIsWritten) {
  std::vector<Lead> leads = {Make<Lead>(1, 0), Make<Lead>(2, 0)};
  Insert(TableOf<Lead>(), {ToRow(Default(), leads[0]), ToRow(Default(), leads[1])});
  for (Lead& lead : leads) {
    lead.revision = 2;
    lead.score = 50;
  }
  Begin();
  absl::Status status =
      session_->UpdateRows(TableOf<Lead>(), {ColumnIndex(TableOf<Lead>(), "score")},
                           {ToRow(Default(), leads[0]), ToRow(Default(), leads[1])}, {1, 7});
  EXPECT_TRUE(IsConflict(status)) << status;
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
  EXPECT_TRUE(session_->healthy());
  EXPECT_EQ(engine().Admin("SELECT count(*), min(score), max(revision) FROM leads"), "2|0|1\n");
}

TEST_P(SessionTest, ExternalIdsOfTouchpointsAreUniqueWithAndWithoutASource) {
  InsertLead(1);
  auto insert = [&](int64_t number, const char* source, const char* external_id) {
    Touchpoint touchpoint = Make<Touchpoint>(number, 0);
    touchpoint.source = source;
    touchpoint.external_id = external_id;
    EXPECT_OK(session_->Begin(Default(), TransactionMode::kWrite));
    absl::Status status =
        session_->InsertRows(TableOf<Touchpoint>(), {ToRow(Default(), touchpoint)});
    session_->Commit();
    return status;
  };
  EXPECT_OK(insert(2, "web", ""));
  EXPECT_OK(insert(3, "web", ""));
  EXPECT_OK(insert(4, "", ""));
  EXPECT_OK(insert(5, "web", "1"));
  EXPECT_OK(insert(6, "crm", "1"));
  EXPECT_OK(insert(7, "", "1"));
  EXPECT_TRUE(IsConflict(insert(8, "web", "1")));
  EXPECT_TRUE(IsConflict(insert(9, "", "1")));
}

TEST_P(SessionTest, AConflictIsNotAnErrorOfTheDomain) {
  EXPECT_TRUE(IsConflict(ConflictError("x")));
  EXPECT_FALSE(IsLost(ConflictError("x")));
  EXPECT_TRUE(IsLost(LostError("x")));
  EXPECT_FALSE(IsConflict(LostError("x")));
  EXPECT_FALSE(IsConflict(domain::StaleEtag("leads/1", "a", "b")));
  EXPECT_FALSE(IsLost(domain::OutcomeUnknown()));
  EXPECT_FALSE(IsConflict(absl::OkStatus()));
}

// ---- transactions -------------------------------------------------------------------------------

TEST_P(SessionTest, AStatementOutsideOfATransactionIsRefused) {
  EXPECT_EQ(session_->Query("SELECT 1", {}, {kInteger}).status().code(),
            absl::StatusCode::kInternal);
  EXPECT_FALSE(session_->Execute("DELETE FROM batches", {}).ok());
  EXPECT_FALSE(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}).ok());
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
  Begin();
  EXPECT_FALSE(session_->Begin(Default(), TransactionMode::kWrite).ok());
  Commit();
  EXPECT_EQ(Count(*session_, "batches"), 0);
}

TEST_P(SessionTest, WhatIsNotCommittedIsGone) {
  Begin();
  ASSERT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  session_->Rollback();
  session_->Rollback();
  Begin();
  ASSERT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(2)}));
  session_ = Open(TransactionMode::kWrite);  // the old one ends with its transaction open
  EXPECT_EQ(Count(*session_, "batches"), 0);
}

TEST_P(SessionTest, AReadTransactionIsASnapshot) {
  std::unique_ptr<Session> reader = Open(TransactionMode::kRead);
  ASSERT_OK(reader->Begin(Default(), TransactionMode::kRead));
  EXPECT_EQ(CountNow(*reader, "batches"), 0);
  Insert(BatchesTable(), {Batch(1)});
  EXPECT_EQ(CountNow(*reader, "batches"), 0);
  EXPECT_EQ(reader->Commit(), CommitOutcome::kCommitted);
  EXPECT_EQ(Count(*reader, "batches"), 1);
}

TEST_P(SessionTest, AReadingStatementEndsAtItsDeadline) {
  std::unique_ptr<Session> reader = Open(TransactionMode::kRead);
  ASSERT_OK(reader->Begin(Default(), TransactionMode::kRead,
                          std::chrono::steady_clock::now() + std::chrono::milliseconds(20)));
  auto rows = reader->Query(
      "WITH RECURSIVE r(n) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM r) "
      "SELECT COUNT(*) FROM r",
      {}, {kInteger});
  EXPECT_TRUE(IsLost(rows.status())) << rows.status();
  reader->Rollback();
}

TEST_P(SessionTest, AReaderCannotWrite) {
  std::unique_ptr<Session> reader = Open(TransactionMode::kRead);
  ASSERT_OK(reader->Begin(Default(), TransactionMode::kRead));
  EXPECT_FALSE(reader->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}).ok());
  reader->Rollback();
  EXPECT_EQ(Count(*session_, "batches"), 0);
}

// ---- migrations ---------------------------------------------------------------------------------

TEST_P(SessionTest, MigratingAgainChangesNothing) {
  Insert(BatchesTable(), {Batch(1)});
  std::string before =
      engine().Admin("SELECT number, name, checksum, apply_time FROM schema_migrations");
  EXPECT_THAT(before, HasSubstr("1|first|"));
  ASSERT_OK(database_->Migrate());
  ASSERT_OK(engine().Connect()->Migrate());
  EXPECT_EQ(engine().Admin("SELECT number, name, checksum, apply_time FROM schema_migrations"),
            before);
  EXPECT_EQ(Count(*session_, "batches"), 1);
  EXPECT_EQ(engine().Admin("SELECT tenant_id, config_version FROM tenants"), "default|0\n");
  EXPECT_EQ(engine().Admin("SELECT * FROM feed_counters"), "default|0|0\n");
}

TEST_P(SessionTest, MigratorsAtTheSameMomentMigrateOnce) {
  std::unique_ptr<Engine> fresh;
  if (postgres()) {
    fresh = std::make_unique<PostgresEngine>();
  } else {
    fresh = std::make_unique<SqliteEngine>();
  }
  std::vector<absl::Status> results(4);
  std::vector<std::thread> threads;
  for (absl::Status& result : results) {
    threads.emplace_back([&] { result = fresh->Connect()->Migrate(); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) EXPECT_OK(result);
  EXPECT_EQ(fresh->Admin("SELECT count(*) FROM schema_migrations"), "1\n");
  EXPECT_EQ(fresh->Admin("SELECT count(*) FROM tenants"), "1\n");
}

TEST_P(SessionTest, ASchemaNewerThanTheProgramIsRefused) {
  engine().Admin("INSERT INTO schema_migrations VALUES (2, 'later', 'x', 0)");
  absl::Status status = database_->Migrate();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(domain::FaultOf(status).has_value());
  EXPECT_EQ(domain::FaultOf(status)->reason, "SCHEMA_NEWER");
}

TEST_P(SessionTest, AMigrationWithAnotherChecksumIsRefused) {
  engine().Admin("UPDATE schema_migrations SET checksum = 'x'");
  absl::Status status = database_->Migrate();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(domain::FaultOf(status).has_value());
  EXPECT_EQ(domain::FaultOf(status)->reason, "SCHEMA_DIFFERS");
}

INSTANTIATE_TEST_SUITE_P(Engines, SessionTest,
                         ::testing::Values(Dialect::kSqlite, Dialect::kPostgres),
                         [](const auto& tested) {
                           return tested.param == Dialect::kSqlite ? "Sqlite" : "Postgres";
                         });

// ---- SQLite only --------------------------------------------------------------------------------

class SqliteSessionTest : public Base<SqliteEngine> {
 protected:
  void SetUp() override {
    engine_ = std::make_unique<SqliteEngine>();
    Start();
  }
};

TEST_F(SqliteSessionTest, ASecondWriterWaitsAndThenHasAConflict) {
  engine().busy_timeout = std::chrono::milliseconds(20);
  std::unique_ptr<Database> impatient = engine().Connect();
  auto second = impatient->Open(TransactionMode::kWrite);
  ASSERT_OK(second);
  Begin();
  ASSERT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  absl::Status status = (*second)->Begin(Default(), TransactionMode::kWrite);
  EXPECT_TRUE(IsConflict(status)) << status;
  EXPECT_TRUE((*second)->healthy());
  // Readers do not wait, and do not see it yet.
  std::unique_ptr<Session> reader = Open(TransactionMode::kRead);
  EXPECT_EQ(Count(*reader, "batches"), 0);
  Commit();
  ASSERT_OK((*second)->Begin(Default(), TransactionMode::kWrite));
  EXPECT_EQ(CountNow(**second, "batches"), 1);
  EXPECT_EQ((*second)->Commit(), CommitOutcome::kCommitted);
}

TEST_F(SqliteSessionTest, AWriterInAnotherProcessIsWaitedForAndThenAConflict) {
  engine().busy_timeout = std::chrono::milliseconds(20);
  auto second = engine().Connect()->Open(TransactionMode::kWrite);
  ASSERT_OK(second);
  // The lock belongs to a process of its own, so it is not this library's memory that refuses.
  int to_child[2], to_parent[2];
  ASSERT_EQ(pipe(to_child), 0);
  ASSERT_EQ(pipe(to_parent), 0);
  std::string path = engine().path();
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    sqlite3* connection = nullptr;
    char byte = 'x';
    bool locked =
        sqlite3_open(path.c_str(), &connection) == SQLITE_OK &&
        sqlite3_exec(connection, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK;
    if (!locked || write(to_parent[1], &byte, 1) != 1 || read(to_child[0], &byte, 1) != 1) _exit(1);
    sqlite3_exec(connection, "COMMIT", nullptr, nullptr, nullptr);
    _exit(write(to_parent[1], &byte, 1) == 1 ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(read(to_parent[0], &byte, 1), 1);
  EXPECT_TRUE(IsConflict((*second)->Begin(Default(), TransactionMode::kWrite)));
  ASSERT_EQ(write(to_child[1], &byte, 1), 1);
  ASSERT_EQ(read(to_parent[0], &byte, 1), 1);
  EXPECT_OK((*second)->Begin(Default(), TransactionMode::kWrite));
  (*second)->Rollback();
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (int end : {to_child[0], to_child[1], to_parent[0], to_parent[1]}) close(end);
}

TEST_F(SqliteSessionTest, TheFileIsPrivateSafeAndInWalMode) {
  Insert(BatchesTable(), {Batch(1)});
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};
    ASSERT_EQ(stat((engine().path() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600u) << suffix;
  }
  Begin();
  for (const auto& [pragma, value] : std::map<std::string, std::string>{{"journal_mode", "wal"},
                                                                        {"synchronous", "2"},
                                                                        {"foreign_keys", "1"},
                                                                        {"secure_delete", "1"},
                                                                        {"temp_store", "2"},
                                                                        {"mmap_size", "0"}}) {
    auto rows = session_->Query(Concat("PRAGMA ", pragma), {}, {kText});
    ASSERT_OK(rows);
    EXPECT_THAT(*rows, ElementsAre(Row{value})) << pragma;
  }
  Commit();
}

TEST_F(SqliteSessionTest, PathsThatAreNotOneFileAreRefused) {
  for (const char* path : {"", ":memory:", "file:x.db?mode=memory", "/tmp/a\"b.db"}) {
    std::unique_ptr<Database> database = MakeSqliteDatabase({.path = path});
    EXPECT_EQ(database->Migrate().code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_EQ(database->Open(TransactionMode::kRead).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  std::unique_ptr<Database> nowhere = MakeSqliteDatabase({.path = "/no/such/folder/x.db"});
  EXPECT_TRUE(IsLost(nowhere->Migrate()));
  EXPECT_TRUE(IsLost(nowhere->Open(TransactionMode::kRead).status()));
}

TEST_F(SqliteSessionTest, AFullDatabaseRollsBackAndIsLost) {
  Begin();
  ASSERT_OK(session_->Query("PRAGMA max_page_count = 1", {}, {kInteger}));
  absl::Status status;
  for (int64_t i = 0; i < 100'000 && status.ok(); ++i) {
    status = session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(i)});
  }
  EXPECT_TRUE(IsLost(status)) << status;
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
  EXPECT_FALSE(session_->healthy());
  session_ = Open(TransactionMode::kWrite);
  EXPECT_EQ(Count(*session_, "batches"), 0);
}

// ---- PostgreSQL only ----------------------------------------------------------------------------

class PostgresSessionTest : public Base<PostgresEngine> {
 protected:
  void SetUp() override {
    engine_ = std::make_unique<PostgresEngine>();
    Start();
  }
  std::string BackendOf(Session& session) {
    auto rows = session.Query("SELECT pg_backend_pid()", {}, {kInteger});
    EXPECT_OK(rows);
    return Concat(IntOr((*rows)[0][0]));
  }
  // Waits for the backend to be gone, so that what follows is not a race.
  void Terminate(const std::string& backend) {
    EXPECT_EQ(engine().Admin(Concat("SELECT pg_terminate_backend(", backend, ", 10000)")), "t\n");
  }
  // A trigger that runs while COMMIT does.
  void AtCommit(const std::string& body) {
    engine().Admin(
        Concat("CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN ", body,
               " RETURN NULL; END$$;"
               "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON batches "
               "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit()"));
  }
};

TEST_F(PostgresSessionTest, AStatementThatForgetsTheTenantSeesOnlyItsOwn) {
  TenantId other("other");
  Insert(BatchesTable(), {Batch(1), Batch(2)});
  for (TransactionMode mode : {TransactionMode::kWrite, TransactionMode::kRead}) {
    ASSERT_OK(session_->Begin(other, mode));
    auto rows = session_->Query("SELECT count(*) FROM batches", {}, {kInteger});
    ASSERT_OK(rows);
    EXPECT_EQ(IntOr((*rows)[0][0], -1), 0);
    session_->Rollback();
  }
  ASSERT_OK(session_->Begin(other, TransactionMode::kWrite));
  auto changed = session_->Execute("UPDATE batches SET create_time = 0", {});
  ASSERT_OK(changed);
  EXPECT_EQ(*changed, 0);
  changed = session_->Execute("DELETE FROM batches", {});
  ASSERT_OK(changed);
  EXPECT_EQ(*changed, 0);
  // Writing into another tenant is an error, not a silent success.
  EXPECT_FALSE(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(9)}).ok());
  session_->Rollback();
  session_ = Open(TransactionMode::kWrite);
  EXPECT_EQ(Count(*session_, "batches"), 2);
}

TEST_F(PostgresSessionTest, TheTenantEndsWithItsTransaction) {
  Insert(BatchesTable(), {Batch(1)});
  ASSERT_OK(session_->Begin(TenantId(""), TransactionMode::kWrite));
  auto rows = session_->Query("SELECT count(*) FROM batches", {}, {kInteger});
  ASSERT_OK(rows);
  EXPECT_EQ(IntOr((*rows)[0][0], -1), 0);
  session_->Rollback();
  // A quote in a tenant is text.
  ASSERT_OK(
      session_->Begin(TenantId("x', true); DROP TABLE batches; --"), TransactionMode::kWrite));
  EXPECT_EQ(CountNow(*session_, "batches"), 0);
  session_->Rollback();
}

TEST_F(PostgresSessionTest, EveryTableForcesRowSecurityAndComparesByBytes) {
  EXPECT_EQ(engine().Admin("SELECT relname FROM pg_class c WHERE relkind = 'r' AND relnamespace = "
                           "'public'::regnamespace AND NOT (relrowsecurity AND "
                           "relforcerowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE "
                           "p.polrelid = c.oid))"),
            "schema_migrations\n");
  EXPECT_EQ(engine().Admin("SELECT table_name, column_name FROM information_schema.columns WHERE "
                           "table_schema = 'public' AND data_type = 'text' AND collation_name IS "
                           "DISTINCT FROM 'C'"),
            "");
  EXPECT_EQ(engine().Admin("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = "
                           "'public'::regnamespace"),
            Concat(AllTables().size() + 1, "\n"));
}

TEST_F(PostgresSessionTest, ASessionCanNeitherChangeTheSchemaNorTheLog) {
  Begin();
  auto rows = session_->Query("SELECT current_user::text", {}, {kText});
  ASSERT_OK(rows);
  EXPECT_EQ(TextOf((*rows)[0][0]), "relais_app");
  session_->Rollback();
  for (const char* sql :
       {"CREATE TABLE x (y int)", "DROP TABLE batches", "DELETE FROM events",
        "UPDATE events SET digest = 'x'", "ALTER TABLE batches DISABLE ROW LEVEL SECURITY",
        "DELETE FROM schema_migrations"}) {
    std::unique_ptr<Session> session = Open(TransactionMode::kWrite);
    ASSERT_OK(session->Begin(Default(), TransactionMode::kWrite));
    absl::Status status = session->Execute(sql, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << sql;
    EXPECT_THAT(status.ToString(), HasSubstr("42501")) << sql;
  }
}

TEST_F(PostgresSessionTest, AnOwnerThatIsNoSuperuserMigratesAndAMemberServes) {
  PostgresEngine fresh;
  fresh.Admin(
      "CREATE ROLE relais_owner LOGIN CREATEROLE;"
      "CREATE ROLE relais_server LOGIN IN ROLE relais_app;" +
      Concat("ALTER DATABASE ", fresh.name(), " OWNER TO relais_owner"));
  fresh.Admin("GRANT ALL ON SCHEMA public TO relais_owner");
  auto as = [&](const char* user) {
    fresh.user = user;
    return fresh.Connect();
  };
  ASSERT_OK(as("relais_owner")->Migrate());
  for (const char* user : {"relais_owner", "relais_server"}) {
    std::unique_ptr<Database> database = as(user);
    ASSERT_OK(database->Migrate());
    auto session = database->Open(TransactionMode::kWrite);
    ASSERT_OK(session);
    ASSERT_OK((*session)->Begin(Default(), TransactionMode::kWrite));
    auto rows = (*session)->Query(
        "SELECT pg_has_role(current_user, 'relais_app', 'USAGE')::int, "
        "(current_user = 'relais_owner')::int, count(*) FROM tenants",
        {}, {kInteger, kInteger, kInteger});
    ASSERT_OK(rows);
    EXPECT_THAT(*rows, ElementsAre(Row{int64_t{1}, int64_t{0}, int64_t{1}})) << user;
    (*session)->Rollback();
  }
  fresh.Admin(
      "DROP OWNED BY relais_server; DROP ROLE relais_server;"
      "REASSIGN OWNED BY relais_owner TO postgres; DROP OWNED BY relais_owner;"
      "DROP ROLE relais_owner");
}

TEST_F(PostgresSessionTest, SettingsOfAWriterAreThoseOfTheDesign) {
  engine().Admin(Concat("ALTER DATABASE ", engine().name(), " SET synchronous_commit = off"));
  session_ = Open(TransactionMode::kWrite);
  Begin();
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"plan_cache_mode", "force_generic_plan"},
                                          {"enable_seqscan", "off"},
                                          {"synchronous_commit", "on"},
                                          {"lock_timeout", "5s"},
                                          {"transaction_isolation", "read committed"},
                                          {"transaction_read_only", "off"},
                                          {"client_encoding", "UTF8"}}) {
    auto rows = session_->Query(Concat("SHOW ", name), {}, {kText});
    ASSERT_OK(rows);
    EXPECT_EQ(TextOf((*rows)[0][0]), value) << name;
  }
  Commit();
  std::unique_ptr<Session> reader = Open(TransactionMode::kRead);
  ASSERT_OK(reader->Begin(Default(), TransactionMode::kRead));
  auto rows = reader->Query("SHOW transaction_isolation", {}, {kText});
  ASSERT_OK(rows);
  EXPECT_EQ(TextOf((*rows)[0][0]), "repeatable read");
}

TEST_F(PostgresSessionTest, ARowThatIsLockedTooLongIsAConflict) {
  InsertLead(1);
  std::unique_ptr<Session> second = Open(TransactionMode::kWrite);
  std::vector<Row> keys = {{Uuid(1)}};
  Begin();
  ASSERT_OK(session_->SelectRows(TableOf<Lead>(), Default(), {"lead_id"}, keys, true));
  ASSERT_OK(second->Begin(Default(), TransactionMode::kWrite));
  ASSERT_OK(second->Execute("SET LOCAL lock_timeout = '20ms'", {}));
  ASSERT_OK(second->SelectRows(TableOf<Lead>(), Default(), {"lead_id"}, keys, false));
  absl::Status status =
      second->SelectRows(TableOf<Lead>(), Default(), {"lead_id"}, keys, true).status();
  EXPECT_TRUE(IsConflict(status)) << status;
  EXPECT_TRUE(second->healthy());
  Commit();
}

TEST_F(PostgresSessionTest, ADeadlockIsAConflictForOneAndNothingForTheOther) {
  InsertLead(1);
  InsertLead(2);
  engine().Admin(Concat("ALTER DATABASE ", engine().name(), " SET deadlock_timeout = '20ms'"));
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 2; ++i) sessions.push_back(Open(TransactionMode::kWrite));
  auto lock = [&](int session, int64_t lead) {
    return sessions[session]
        ->SelectRows(TableOf<Lead>(), Default(), {"lead_id"}, std::vector<Row>{{Uuid(lead)}}, true)
        .status();
  };
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(sessions[i]->Begin(Default(), TransactionMode::kWrite));
    ASSERT_OK(lock(i, i + 1));
  }
  absl::Status first, second;
  std::thread other([&] {
    first = lock(0, 2);
    if (!first.ok()) sessions[0]->Rollback();
  });
  second = lock(1, 1);
  if (!second.ok()) sessions[1]->Rollback();
  other.join();
  EXPECT_NE(first.ok(), second.ok());
  EXPECT_TRUE(IsConflict(first.ok() ? second : first)) << first << second;
}

TEST_F(PostgresSessionTest, ALostSessionSaysSoAndAnotherOneServes) {
  Begin();
  Terminate(BackendOf(*session_));
  absl::Status status = session_->Query("SELECT 1", {}, {kInteger}).status();
  EXPECT_TRUE(IsLost(status)) << status;
  EXPECT_FALSE(IsConflict(status));
  EXPECT_FALSE(session_->healthy());
  session_->Rollback();
  EXPECT_TRUE(IsLost(session_->Begin(Default(), TransactionMode::kWrite)));
  session_ = Open(TransactionMode::kWrite);
  Insert(BatchesTable(), {Batch(1)});
}

TEST_F(PostgresSessionTest, TheFirstStatementOnALostSessionIsLost) {
  Begin();
  std::string backend = BackendOf(*session_);
  Commit();
  Terminate(backend);
  absl::Status status = session_->Begin(Default(), TransactionMode::kWrite);
  if (status.ok()) status = session_->Query("SELECT 1", {}, {kInteger}).status();
  EXPECT_TRUE(IsLost(status)) << status;
  EXPECT_FALSE(session_->healthy());
}

TEST_F(PostgresSessionTest, ADeadlineIsNotPutOffByStatementsThatKeepIt) {
  std::unique_ptr<Session> reader = Open(TransactionMode::kRead);
  ASSERT_OK(reader->Begin(Default(), TransactionMode::kRead,
                          std::chrono::steady_clock::now() + std::chrono::milliseconds(20)));
  // One after the other, each far within the limit, until the time is over.
  absl::Status status;
  while (status.ok()) status = reader->Query("SELECT 1", {}, {kInteger}).status();
  EXPECT_TRUE(IsLost(status)) << status;
  reader->Rollback();
}

TEST_F(PostgresSessionTest, WhoeverChangesTheConfigurationWaitsForThoseWhoReadIt) {
  Begin();
  int64_t version = -1;
  ASSERT_OK(session_->LockConfigVersion(Default(), /*alone=*/false, version));
  ASSERT_OK(session_->Query("SELECT 1", {}, {kInteger}));
  std::unique_ptr<Session> changer = Open(TransactionMode::kWrite);
  std::atomic<bool> changed = false;
  absl::Status status;
  std::thread change([&] {
    int64_t seen = -1;
    status = changer->Begin(Default(), TransactionMode::kWrite);
    if (status.ok()) status = changer->LockConfigVersion(Default(), /*alone=*/true, seen);
    if (status.ok()) {
      status = changer
                   ->Execute(
                       "UPDATE tenants SET config_version = config_version + 1 WHERE "
                       "tenant_id = 'default'",
                       {})
                   .status();
    }
    changed = true;
    if (status.ok() && changer->Commit() != CommitOutcome::kCommitted) {
      status = absl::InternalError("not committed");
    }
  });
  // Until the server says that it waits.
  std::unique_ptr<Session> watcher = Open(TransactionMode::kWrite);
  int64_t waiting = 0;
  while (waiting == 0 && !changed) {
    ASSERT_OK(watcher->Begin(Default(), TransactionMode::kWrite));
    auto rows =
        watcher->Query("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
                       {}, {kInteger});
    watcher->Rollback();
    ASSERT_OK(rows);
    waiting = IntOr((*rows)[0][0]);
  }
  EXPECT_FALSE(changed);
  Commit();
  change.join();
  EXPECT_OK(status);
  Begin();
  int64_t after = -1;
  ASSERT_OK(session_->LockConfigVersion(Default(), /*alone=*/false, after));
  ASSERT_OK(session_->Query("SELECT 1", {}, {kInteger}));
  EXPECT_EQ(after, version + 1);
}

TEST_F(PostgresSessionTest, ACommitWithoutAnAnswerIsUnknownAndItsRowSettlesIt) {
  Begin();
  ASSERT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  Terminate(BackendOf(*session_));
  EXPECT_EQ(session_->Commit(), CommitOutcome::kUnknown);
  EXPECT_FALSE(session_->healthy());
  // The same row again: it can be inserted, so the commit never happened and never will.
  session_ = Open(TransactionMode::kWrite);
  Insert(BatchesTable(), {Batch(1)});
  Begin();
  EXPECT_TRUE(IsConflict(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)})));
}

TEST_F(PostgresSessionTest, ACommitWithAWarningIsNotTakenForDurable) {
  AtCommit("RAISE WARNING 'canceling wait for synchronous replication';");
  Begin();
  ASSERT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  EXPECT_EQ(session_->Commit(), CommitOutcome::kUnknown);
  EXPECT_TRUE(session_->healthy());
}

TEST_F(PostgresSessionTest, ACommitThatTheServerRefusesIsRolledBack) {
  AtCommit("RAISE unique_violation;");
  Begin();
  ASSERT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
  EXPECT_TRUE(session_->healthy());
  EXPECT_EQ(Count(*session_, "batches"), 0);
}

TEST_F(PostgresSessionTest, ACommitThatGetsNoAnswerInTimeIsUnknown) {
  AtCommit("PERFORM pg_advisory_xact_lock(1);");
  std::unique_ptr<Session> holder = Open(TransactionMode::kWrite);
  ASSERT_OK(holder->Begin(Default(), TransactionMode::kWrite));
  ASSERT_OK(holder->Query("SELECT pg_advisory_xact_lock(1)::text", {}, {kText}));
  engine().commit_timeout = std::chrono::milliseconds(50);
  auto session = engine().Connect()->Open(TransactionMode::kWrite);
  ASSERT_OK(session);
  ASSERT_OK((*session)->Begin(Default(), TransactionMode::kWrite));
  ASSERT_OK((*session)->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  EXPECT_EQ((*session)->Commit(), CommitOutcome::kUnknown);
  EXPECT_FALSE((*session)->healthy());
  session->reset();  // does not wait for the server either
  holder->Rollback();
}

TEST_F(PostgresSessionTest, ASwallowedServerRollbackIsSeen) {
  // The session believes that its transaction is fine; the server knows better and answers COMMIT
  // with the tag ROLLBACK.
  Begin();
  ASSERT_OK(session_->Execute("DO $$ BEGIN PERFORM 1; END $$", {}));
  auto rows = session_->Query("SELECT 1 / (:p1)::bigint", {Cell(int64_t{0})}, {kInteger});
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
}

TEST_F(PostgresSessionTest, ConnectionStringsAreReadByLibpqAndRefusedWithoutBeingQuoted) {
  absl::Status status = MakePostgresDatabase({.dsn = "password=secret nonsense"})->Migrate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.ToString(), Not(HasSubstr("secret")));
  status = MakePostgresDatabase({.dsn = "host=/no/such/folder user=secret"})->Migrate();
  EXPECT_TRUE(IsLost(status)) << status;
  EXPECT_THAT(status.ToString(), Not(HasSubstr("secret")));

  // A URI, and a value with blanks, quotes and backslashes.
  std::string host;
  for (char c : PgCluster::Shared().socket_dir())
    host += c == '/' ? std::string("%2F") : std::string(1, c);
  auto database =
      MakePostgresDatabase({.dsn = Concat("postgresql://postgres@", host, "/", engine().name(),
                                          "?application_name=a%20%20b%27c%5C%3D1")});
  auto session = database->Open(TransactionMode::kRead);
  ASSERT_OK(session);
  ASSERT_OK((*session)->Begin(Default(), TransactionMode::kRead));
  auto rows = (*session)->Query("SHOW application_name", {}, {kText});
  ASSERT_OK(rows);
  EXPECT_EQ(TextOf((*rows)[0][0]), "a  b'c\\=1");
}

TEST_F(PostgresSessionTest, ACellThatIsNotOfItsColumnIsRefusedAndKillsTheTransaction) {
  for (const Row& row : {Row{"default", "no-uuid", int64_t{1}}, Row{"default", Uuid(1), "text"},
                         Row{std::string("def\0ault", 8), Uuid(1), int64_t{1}}}) {
    // Few rows go value by value, many as arrays.
    for (const std::vector<Row>& rows :
         {std::vector<Row>{row}, std::vector<Row>{Batch(2), Batch(3), row, Batch(4)}}) {
      session_ = Open(TransactionMode::kWrite);
      Begin();
      absl::Status status = session_->InsertRows(BatchesTable(), rows);
      EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
      EXPECT_THAT(status.ToString(), Not(HasSubstr("no-uuid")));
      EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
    }
  }
}

TEST_F(PostgresSessionTest, StatementsSentAheadFailTogetherAtCommitAndSayWhy) {
  Insert(BatchesTable(), {Batch(1)});
  Begin();
  session_->SendAhead();
  EXPECT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(2)}));
  EXPECT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  EXPECT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(3)}));
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
  EXPECT_TRUE(IsConflict(session_->failure())) << session_->failure();
  EXPECT_TRUE(session_->healthy());
  EXPECT_EQ(Count(*session_, "batches"), 1);
}

TEST_F(PostgresSessionTest, AStaleRevisionSentAheadStopsTheCommitBehindIt) {
  Lead lead;
  lead.id = LeadId(Uuid(1));
  lead.revision = 1;
  Insert(TableOf<Lead>(), {ToRow(Default(), lead)});
  lead.revision = 2;
  lead.score = 50;
  Begin();
  session_->SendAhead();
  EXPECT_OK(session_->UpdateRows(TableOf<Lead>(), {ColumnIndex(TableOf<Lead>(), "score")},
                                 {ToRow(Default(), lead)}, {7}));
  EXPECT_EQ(session_->Commit(), CommitOutcome::kRolledBack);
  EXPECT_TRUE(IsConflict(session_->failure())) << session_->failure();
  EXPECT_EQ(engine().Admin("SELECT score, revision FROM leads"), "0|1\n");
}

TEST_F(PostgresSessionTest, AStatementThatCouldNotBePreparedIsPreparedLater) {
  // Passed over together with the statement before it, and so unknown to the server.
  Begin();
  session_->SendAhead();
  EXPECT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  EXPECT_OK(session_->InsertRows(BatchesTable(), std::vector<Row>{Batch(1)}));
  EXPECT_TRUE(IsConflict(session_->Query("SELECT 5", {}, {kInteger}).status()));
  session_->Rollback();
  Begin();
  auto rows = session_->Query("SELECT 5", {}, {kInteger});
  ASSERT_OK(rows);
  EXPECT_THAT(*rows, ElementsAre(Row{int64_t{5}}));
  Commit();
}

}  // namespace
}  // namespace relais::storage
