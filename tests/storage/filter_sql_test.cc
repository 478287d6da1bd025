// The SQL back end against the evaluator in memory: thousands of generated filters over generated
// rows, on a real SQLite and a real PostgreSQL.
#include "storage/sql/filter_sql.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "server/domain/filter_eval.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "tests/domain/filter_generator.h"
#include "tests/domain/filter_specimen.h"
#include "tests/storage/pg_cluster.h"

namespace relais::storage {
namespace {

using domain::EntitySubject;
using domain::FieldType;
using domain::Filter;
using domain::FilterField;
using domain::FilterGenerator;
using domain::FilterResult;
using domain::FilterSchema;
using domain::FilterSubject;
using domain::Sign;
using domain::Specimen;
using domain::Timestamp;
using domain::Value;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Timestamp kNow = FilterGenerator::Now();

std::string JsonText(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string Json(const Value& value) {
  if (const std::string* text = value.if_text()) return JsonText(*text);
  std::string out;
  if (const domain::ValueList* list = value.if_list()) {
    for (const Value& item : *list) out += (out.empty() ? "" : ",") + Json(item);
    return "[" + out + "]";
  }
  if (const domain::ValueMap* map = value.if_map()) {
    for (const auto& [key, item] : *map) {
      out += (out.empty() ? "" : ",") + JsonText(key) + ":" + Json(item);
    }
    return "{" + out + "}";
  }
  throw std::logic_error("not a JSON value");
}

// The columns of a field and the cells of its value, as filter_sql.h describes them.
std::vector<std::pair<std::string, ColumnType>> ColumnsOf(const FilterField& field) {
  switch (field.type) {
    case FieldType::kMoney:
      return {{field.column + "_units", ColumnType::kInteger},
              {field.column + "_nanos", ColumnType::kInteger},
              {field.column + "_currency_code", ColumnType::kText}};
    case FieldType::kText:
      return {{field.column, ColumnType::kText}};
    case FieldType::kTextList:
    case FieldType::kTextMap:
    case FieldType::kRecordList:
      return {{field.column, ColumnType::kJson}};
    default:
      return {{field.column, ColumnType::kInteger}};
  }
}

void AppendCells(const FilterField& field, const Value& value, Row& row) {
  if (field.type == FieldType::kMoney) {
    const domain::Money* money = value.if_money();
    row.push_back(money ? Cell(money->units) : Cell());
    row.push_back(money ? Cell(int64_t{money->nanos}) : Cell());
    row.push_back(money ? Cell(money->currency_code) : Cell());
    return;
  }
  if (value.absent()) {
    row.emplace_back();
  } else if (const bool* v = value.if_bool()) {
    row.emplace_back(int64_t{*v});
  } else if (const int64_t* v = value.if_int()) {
    row.emplace_back(*v);
  } else if (const Timestamp* v = value.if_time()) {
    row.emplace_back(v->micros);
  } else if (field.type == FieldType::kText) {
    row.emplace_back(*value.if_text());
  } else {
    row.emplace_back(Json(value));
  }
}

// An engine with the two tables, filled.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual Dialect dialect() const = 0;
  virtual void Execute(const std::string& sql, const Row& params) = 0;
  virtual std::vector<int64_t> Ids(const std::string& sql, const Row& params) = 0;
  virtual std::string_view placeholder() const = 0;

  void CreateTable(const std::string& name, const FilterSchema& schema) {
    std::string sql = "CREATE TABLE " + name + " (tenant_id TEXT NOT NULL, lead_id BIGINT NOT NULL";
    for (const auto& [path, field] : schema.fields()) {
      for (const auto& [column, type] : ColumnsOf(*field)) {
        bool json = type == ColumnType::kJson && dialect() == Dialect::kPostgres;
        sql += ", " + column +
               (type == ColumnType::kInteger ? " BIGINT"
                : json                       ? " JSONB"
                                             : " TEXT");
      }
    }
    Execute(sql + ")", {});
  }

  void Insert(const std::string& name, const FilterSchema& schema, const std::string& tenant,
              int64_t lead, const FilterSubject& subject) {
    Row row = {Cell(tenant), Cell(lead)};
    std::string columns = "tenant_id, lead_id";
    std::string casts = Placeholder(1, "TEXT") + ", " + Placeholder(2, "BIGINT");
    for (const auto& [path, field] : schema.fields()) {
      AppendCells(*field, subject.Get(*field), row);
      for (const auto& [column, type] : ColumnsOf(*field)) {
        columns += ", " + column;
        bool json = type == ColumnType::kJson && dialect() == Dialect::kPostgres;
        size_t number = static_cast<size_t>(std::count(columns.begin(), columns.end(), ',')) + 1;
        casts += ", " + Placeholder(number, type == ColumnType::kInteger ? "BIGINT"
                                            : json                       ? "JSONB"
                                                                         : "TEXT");
      }
    }
    Execute("INSERT INTO " + name + " (" + columns + ") VALUES (" + casts + ")", row);
  }

 private:
  std::string Placeholder(size_t number, const std::string& type) const {
    return "CAST(" + std::string(placeholder()) + std::to_string(number) + " AS " + type + ")";
  }
};

class SqliteEngine final : public Engine {
 public:
  SqliteEngine() {
    if (sqlite3_open(":memory:", &db_) != SQLITE_OK) throw std::runtime_error("sqlite3_open");
  }
  ~SqliteEngine() override { sqlite3_close(db_); }
  Dialect dialect() const override { return Dialect::kSqlite; }
  std::string_view placeholder() const override { return ":f"; }
  void Execute(const std::string& sql, const Row& params) override { Ids(sql, params); }
  std::vector<int64_t> Ids(const std::string& sql, const Row& params) override {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) {
      throw std::runtime_error(std::string(sqlite3_errmsg(db_)) + "\n" + sql);
    }
    std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(raw, sqlite3_finalize);
    if (sqlite3_bind_parameter_count(raw) != static_cast<int>(params.size())) {
      throw std::runtime_error("number of binds\n" + sql);
    }
    for (size_t i = 0; i < params.size(); ++i) {
      std::string name = ":f" + std::to_string(i + 1);
      int at = sqlite3_bind_parameter_index(raw, name.c_str());
      if (at == 0) throw std::runtime_error("no parameter " + name);
      if (const int64_t* v = std::get_if<int64_t>(&params[i])) {
        sqlite3_bind_int64(raw, at, *v);
      } else if (const std::string* v = std::get_if<std::string>(&params[i])) {
        sqlite3_bind_text(raw, at, v->data(), static_cast<int>(v->size()), SQLITE_TRANSIENT);
      }
    }
    std::vector<int64_t> ids;
    int code = SQLITE_OK;
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) ids.push_back(sqlite3_column_int64(raw, 0));
    if (code != SQLITE_DONE)
      throw std::runtime_error(std::string(sqlite3_errmsg(db_)) + "\n" + sql);
    return ids;
  }

 private:
  sqlite3* db_ = nullptr;
};

class PostgresEngine final : public Engine {
 public:
  PostgresEngine()
      : cluster_(relais::testing::PgCluster::Shared()), database_(cluster_.CreateDatabase()) {
    connection_ = PQconnectdb(cluster_.DSN(database_).c_str());
    if (PQstatus(connection_) != CONNECTION_OK)
      throw std::runtime_error(PQerrorMessage(connection_));
  }
  ~PostgresEngine() override {
    PQfinish(connection_);
    cluster_.DropDatabase(database_);
  }
  Dialect dialect() const override { return Dialect::kPostgres; }
  std::string_view placeholder() const override { return "$"; }
  void Execute(const std::string& sql, const Row& params) override { Ids(sql, params); }
  std::vector<int64_t> Ids(const std::string& sql, const Row& params) override {
    // Untyped text parameters, as SOCI sends them: the statement itself must tell every type.
    std::vector<std::string> texts;
    for (const Cell& cell : params) {
      const int64_t* number = std::get_if<int64_t>(&cell);
      texts.push_back(number ? std::to_string(*number) : std::string(TextOf(cell)));
    }
    std::vector<const char*> values;
    for (size_t i = 0; i < params.size(); ++i) {
      values.push_back(IsNull(params[i]) ? nullptr : texts[i].c_str());
    }
    std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexecParams(connection_, sql.c_str(), static_cast<int>(values.size()), nullptr,
                     values.data(), nullptr, nullptr, 0),
        PQclear);
    ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
      throw std::runtime_error(std::string(PQresultErrorMessage(result.get())) + sql);
    }
    std::vector<int64_t> ids;
    for (int i = 0; i < PQntuples(result.get()); ++i) {
      ids.push_back(std::strtoll(PQgetvalue(result.get(), i, 0), nullptr, 10));
    }
    return ids;
  }

 private:
  relais::testing::PgCluster& cluster_;
  std::string database_;
  PGconn* connection_ = nullptr;
};

struct EngineCase {
  const char* name;
  std::function<std::unique_ptr<Engine>()> make;
};

void PrintTo(const EngineCase& engine, std::ostream* out) { *out << engine.name; }

// Generated leads and touchpoints, in memory and in the tables of an engine.
template <class E, class C>
class World {
 public:
  static constexpr int kLeads = 120;

  World(Engine& engine, uint64_t seed) : engine_(engine), generator_(Schema(), seed) {
    const FilterSchema& children = *Schema().FindCollection("touchpoints")->schema;
    engine_.CreateTable("leads", Schema());
    engine_.CreateTable("touchpoints", children);
    entities_.emplace_back();  // nothing set
    for (int i = 1; i < kLeads; ++i) entities_.push_back(generator_.Entity<E>());
    children_.resize(entities_.size());
    engine_.Execute("BEGIN", {});
    for (size_t i = 0; i < entities_.size(); ++i) {
      auto id = static_cast<int64_t>(i);
      engine_.Insert("leads", Schema(), "one", id, EntitySubject<E>(entities_[i]));
      for (size_t n = i == 0 ? 0 : generator_.Below(6); n > 0; --n) {
        children_[i].push_back(generator_.Entity<C>());
        engine_.Insert("touchpoints", children, "one", id, EntitySubject<C>(children_[i].back()));
      }
      // What belongs to the same id of another tenant must never count.
      C other = generator_.Entity<C>();
      other.occur_time = kNow;
      engine_.Insert("touchpoints", children, "two", id, EntitySubject<C>(other));
    }
    engine_.Execute("COMMIT", {});
  }

  static const FilterSchema& Schema() {
    static const auto* const kSchema = [] {
      auto* schema = new FilterSchema(domain::SchemaOf<E>());
      absl::Status added =
          schema->AddCollection("touchpoints", domain::SchemaOf<C>(), "occur_time");
      if (!added.ok()) throw std::logic_error(std::string(added.message()));
      return schema;
    }();
    return *kSchema;
  }

  static Filter Parsed(std::string_view text) {
    FilterResult result = domain::ParseFilter(text, Schema());
    EXPECT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
    return result.ok() ? result.filter() : Filter();
  }

  std::vector<int64_t> Selected(const Filter& filter) {
    FilterSql sql = CompileFilter(filter, engine_.dialect(), kNow);
    return engine_.Ids("SELECT t.lead_id FROM leads AS t WHERE t.tenant_id = 'one' AND " +
                           sql.Text(engine_.placeholder()) + " ORDER BY t.lead_id",
                       sql.binds());
  }

  std::vector<int64_t> Matching(const Filter& filter) const {
    std::vector<int64_t> ids;
    for (size_t i = 0; i < entities_.size(); ++i) {
      std::vector<EntitySubject<C>> subjects(children_[i].begin(), children_[i].end());
      std::vector<const FilterSubject*> children;
      for (const auto& subject : subjects) children.push_back(&subject);
      EntitySubject<E> subject(entities_[i], "touchpoints", children);
      if (domain::Matches(filter, subject, kNow)) ids.push_back(static_cast<int64_t>(i));
    }
    return ids;
  }

  void CompareGeneratedFilters(int rounds) {
    int64_t selected = 0;
    for (int i = 0; i < rounds; ++i) {
      std::string text = generator_.Text();
      Filter filter = Parsed(text);
      std::vector<int64_t> expected = Matching(filter);
      ASSERT_EQ(Selected(filter), expected)
          << text << "\n"
          << CompileFilter(filter, engine_.dialect(), kNow).Text();
      selected += static_cast<int64_t>(expected.size());
    }
    // Filters that nearly always say the same would prove little.
    EXPECT_GT(selected, int64_t{rounds} * kLeads / 5);
    EXPECT_LT(selected, int64_t{rounds} * kLeads * 4 / 5);
  }

 private:
  Engine& engine_;
  FilterGenerator generator_;
  std::vector<E> entities_;
  std::vector<std::vector<C>> children_;
};

using SpecimenWorld = World<Specimen, Sign>;

Filter Parsed(std::string_view text) { return SpecimenWorld::Parsed(text); }

class FilterSqlOnEngine : public ::testing::TestWithParam<EngineCase> {
 protected:
  std::unique_ptr<Engine> engine_ = GetParam().make();
};

TEST_P(FilterSqlOnEngine, SelectsWhatTheEvaluatorMatches) {
  SpecimenWorld(*engine_, 424'242).CompareGeneratedFilters(4000);
}

TEST_P(FilterSqlOnEngine, SelectsTheLeadsThatTheEvaluatorMatches) {
  World<domain::Lead, domain::Touchpoint>(*engine_, 20'261'124).CompareGeneratedFilters(2000);
}

TEST_P(FilterSqlOnEngine, EveryConditionByItselfAndTurnedRound) {
  SpecimenWorld world(*engine_, 1);
  // One of each kind of condition, so that a kind the generator forgets is still run.
  for (std::string_view text :
       {"",
        "active = true",
        "checked != true",
        "score >= 40",
        "organization.headcount < 3",
        "stage = PROSPECT",
        "stage != PROSPECT",
        "note = \"a\"",
        "note != \"a\"",
        "note > \"B\"",
        "note <= \"\uff5a\"",
        "note:\"a\"",
        "note:\"\"",
        "note:\"%\"",
        "fold(note) = fold(\"AB\")",
        "fold(note) < fold(\"B\")",
        "fold(note):fold(\"B\")",
        "create_time <= now()",
        "close_time = now() - 7d",
        "estimated_value = \"5000 EUR\"",
        "estimated_value != \"5000 EUR\"",
        "estimated_value > \"-1.5 EUR\"",
        "estimated_value.currency_code > \"EUR\"",
        "estimated_value:*",
        "estimated_value.currency_code:*",
        "needs:\"a\"",
        "needs:*",
        "fold(needs):fold(\"A\")",
        "labels:plan",
        "labels:\"quote\\\"key\"",
        "labels:\"back\\\\slash\"",
        "labels.\"$.plan\":*",
        "labels.plan = \"a\"",
        "labels.plan != \"a\"",
        "labels.plan >= \"B\"",
        "labels.plan:\"a\"",
        "labels.plan = \"\"",
        "fold(labels.plan) = fold(\"A\")",
        "labels:*",
        "labels.\"0\":*",
        "person.emails.address:\"a\"",
        "person.emails.label:*",
        "person.emails:*",
        "fold(person.emails.address):fold(\"AB\")",
        "count(touchpoints) = 0",
        "count(touchpoints, kind = CALL) >= 1",
        "count(touchpoints, 30d) > 1",
        "count(touchpoints, properties.plan > \"B\" OR NOT value > \"0 EUR\", 90d) != 1",
        "last(touchpoints):*",
        "last(touchpoints) = now()",
        "last(touchpoints, kind = CALL) > now() - 7d",
        "last(touchpoints, topic:\"a\") != now()"}) {
    Filter filter = Parsed(text);
    EXPECT_EQ(world.Selected(filter), world.Matching(filter)) << text;
    if (text.empty()) continue;
    Filter negated = Parsed("NOT " + std::string(text));
    EXPECT_EQ(world.Selected(negated), world.Matching(negated)) << text;
    EXPECT_EQ(world.Selected(filter).size() + world.Selected(negated).size(),
              static_cast<size_t>(SpecimenWorld::kLeads))
        << text;
  }
}

TEST_P(FilterSqlOnEngine, TheLargestFilterStillRuns) {
  SpecimenWorld world(*engine_, 2);
  std::string text = "score = 0";
  for (int i = 1; i < domain::kMaxFilterNodes - 1; ++i) text += " OR score = " + std::to_string(i);
  Filter wide = Parsed(text);
  EXPECT_EQ(world.Selected(wide), world.Matching(wide));
  std::string deep = "score = 1";
  for (int i = 0; i < domain::kMaxFilterDepth; ++i) deep = "NOT (" + deep + " AND active = true)";
  Filter nested = Parsed(deep);
  EXPECT_EQ(world.Selected(nested), world.Matching(nested));
}

INSTANTIATE_TEST_SUITE_P(
    Engines, FilterSqlOnEngine,
    ::testing::Values(EngineCase{"Sqlite", [] { return std::make_unique<SqliteEngine>(); }},
                      EngineCase{"Postgres", [] { return std::make_unique<PostgresEngine>(); }}),
    [](const auto& info) { return info.param.name; });

TEST(FilterSqlText, PlaceholdersAreNumberedAsAsked) {
  FilterSql sql = CompileFilter(Parsed("score >= 40 AND note = \"x\""), Dialect::kSqlite, kNow);
  EXPECT_EQ(sql.Text(), "(+t.score >= :f1 AND t.note = CAST(:f2 AS TEXT))");
  EXPECT_EQ(sql.Text(":p", 7), "(+t.score >= :p7 AND t.note = CAST(:p8 AS TEXT))");
  EXPECT_EQ(sql.Text("$"), "(+t.score >= $1 AND t.note = CAST($2 AS TEXT))");
  EXPECT_EQ(sql.binds(), (std::vector<Cell>{Cell(int64_t{40}), Cell(std::string("x"))}));
  EXPECT_EQ(CompileFilter(Filter(), Dialect::kPostgres, kNow).Text(), "TRUE");
}

TEST(FilterSqlText, OnlySqliteIsKeptFromTheIndexOfARangeAndNotOfAnEquality) {
  EXPECT_EQ(CompileFilter(Parsed("score < 4"), Dialect::kSqlite, kNow).Text(), "+t.score < :f1");
  EXPECT_EQ(CompileFilter(Parsed("score = 4"), Dialect::kSqlite, kNow).Text(), "t.score = :f1");
  EXPECT_EQ(CompileFilter(Parsed("score < 4"), Dialect::kPostgres, kNow).Text(), "t.score < :f1");
}

TEST(FilterSqlText, TablesAndIdsAreNamedByTheCaller) {
  FilterSql sql = CompileFilter(Parsed("count(touchpoints, kind = CALL) >= 1"), Dialect::kPostgres,
                                kNow, {.alias = "leads", .id_column = "id"});
  EXPECT_EQ(sql.Text(),
            "(SELECT COUNT(*) FROM touchpoints AS c WHERE c.tenant_id = leads.tenant_id AND "
            "c.id = leads.id AND c.kind = :f1) >= :f2");
}

TEST(FilterSqlText, NoLiteralIsEverPartOfTheText) {
  for (Dialect dialect : {Dialect::kSqlite, Dialect::kPostgres}) {
    for (std::string_view text :
         {"note = \"zzz\"", "note:\"zzz\"", "fold(note) = fold(\"zzz\")", "needs:\"zzz\"",
          "labels:\"zzz\"", "labels.zzz = \"zzz\"", "person.emails.address:\"zzz\"",
          "count(touchpoints, topic = \"zzz\") > 777", "score = 777",
          "estimated_value > \"777 EUR\""}) {
      std::string sql = CompileFilter(Parsed(text), dialect, kNow).Text();
      EXPECT_THAT(sql, Not(HasSubstr("zzz"))) << text;
      EXPECT_THAT(sql, Not(HasSubstr("777"))) << text;
    }
  }
}

}  // namespace
}  // namespace relais::storage
