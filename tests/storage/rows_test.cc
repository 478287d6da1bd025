// The forms that values take in storage, without a database: JSON, array literals, rows, the order
// of migrations.
#include "storage/sql/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "server/domain/directory.h"
#include "server/domain/faults.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "storage/sql/bulk.h"
#include "storage/sql/json.h"
#include "storage/sql/migration.h"
#include "storage/sql/tables.h"

namespace relais::storage {
namespace {

using domain::Lead;
using domain::Money;
using domain::TenantId;
using domain::Timestamp;
using domain::Value;
using domain::ValueList;
using domain::ValueMap;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

TEST(JsonTest, EveryKindOfValueSurvives) {
  for (const Value& value : std::vector<Value>{
           Value(),
           Value(true),
           Value(false),
           Value(int64_t{0}),
           Value(kMax),
           Value(kMin),
           Value(""),
           Value("é 漢 😀 \" \\ \n \x01 </script>"),
           Value(Timestamp{kMin}),
           Value(Timestamp{1'700'000'000'000'001}),
           Value(Money{"EUR", kMax, 999'999'999}),
           Value(Money{"JPY", kMin, -999'999'999}),
           Value(ValueList{}),
           Value(ValueMap{}),
           Value(ValueList{Value(), Value(int64_t{1}), Value("a"), Value(ValueList{Value(true)})}),
           Value(ValueMap{{"", Value("")}, {"b", Value()}, {"a", Value(Timestamp{5})}}),
       }) {
    std::string text = ToJson(value);
    absl::StatusOr<Value> back = FromJson(text);
    ASSERT_TRUE(back.ok()) << text;
    EXPECT_EQ(*back, value) << text;
  }
}

TEST(JsonTest, KeysThatLookLikeTagsAreKeys) {
  for (const char* key : {"$t", "$m", "$", "$$t", "$$", "t"}) {
    for (const Value& item : {Value(int64_t{7}), Value("x"), Value(Timestamp{7})}) {
      Value value(ValueMap{{key, item}});
      absl::StatusOr<Value> back = FromJson(ToJson(value));
      ASSERT_TRUE(back.ok());
      EXPECT_EQ(*back, value) << ToJson(value);
    }
  }
}

TEST(JsonTest, TheTextIsCanonical) {
  EXPECT_EQ(ToJson(Value(ValueMap{{"b", Value(int64_t{1})}, {"a", Value(Timestamp{2})}})),
            R"({"a":{"$t":2},"b":1})");
  EXPECT_EQ(ToJson(Value(Money{"EUR", -1, -500'000'000})), R"({"$m":["EUR",-1,-500000000]})");
  EXPECT_EQ(ToPlainJson(Value(ValueMap{{"é", Value("$t")}, {"$t", Value("x")}})),
            R"({"$t":"x","é":"$t"})");
}

TEST(JsonTest, OrderAndSpacingDoNotMatterToTheReader) {
  absl::StatusOr<Value> value = FromJson(" { \"b\" : 1 , \"a\" : [ {\"$t\" : 2} , null ] } ");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, Value(ValueMap{{"a", Value(ValueList{Value(Timestamp{2}), Value()})},
                                   {"b", Value(int64_t{1})}}));
}

TEST(JsonTest, MalformedTextIsRefusedWithoutQuotingIt) {
  std::string deep(100, '[');
  deep += std::string(100, ']');
  for (const std::string& text : std::vector<std::string>{
           "", "{", "secret", "1.5", "1e3", "9223372036854775808", "-9223372036854775809",
           R"({"$t":"secret"})", R"({"$m":["EUR",1]})", R"({"$m":["EUR",1,1000000000]})",
           R"({"$m":[1,1,1]})", R"({"$x":1})", R"({"$x":1,"$y":2})", "[1] 2", deep}) {
    absl::StatusOr<Value> value = FromJson(text);
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_EQ(value.status().code(), absl::StatusCode::kInternal);
    EXPECT_THAT(value.status().ToString(), Not(HasSubstr("secret")));
  }
  for (const char* text : {"1", "true", "null", R"({"a":1})", R"(["a",null])"}) {
    EXPECT_FALSE(FromPlainJson(text).ok()) << text;
  }
}

TEST(JsonTest, InvalidUtf8IsReplacedAndDoesNotThrow) {
  absl::StatusOr<Value> value = FromJson(ToJson(Value("a\xff")));
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, Value("a\xEF\xBF\xBD"));
}

TEST(JsonTest, ControlCharactersAreWrittenInOneWay) {
  EXPECT_EQ(ToJson(Value("\b\t\n\f\r\x01\x1f\x7f/\"\\")),
            "\"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f/\\\"\\\\\"");
  // One replacement for each longest beginning of a character.
  EXPECT_EQ(ToJson(Value("\xE2\x82|\xE0\x80|\xED\xA0\x80|\xF4\x90")),
            "\"\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
            "\xEF\xBF\xBD\xEF\xBF\xBD\"");
  for (const char* text : {R"("\ud800")", R"("\udc00")", R"({"\udc00":1})", "\"\xff\""}) {
    EXPECT_FALSE(FromJson(text).ok()) << text;
  }
}

TEST(JsonTest, PickedEntriesAreThoseOfTheWholeList) {
  const std::string json =
      R"([["a",null,1],["b",{"$t":5},{"x":[1,{"y":null}]}],["c","t",[["a",1,2]]],["a",{"$m":["EUR",1,2]},true]])";
  absl::StatusOr<std::vector<PickedJson>> picked =
      PickFromJson(json, std::vector<std::string>{"a", "c"});
  ASSERT_TRUE(picked.ok());
  ASSERT_EQ(picked->size(), 3u);
  EXPECT_EQ((*picked)[0].text, "a");
  EXPECT_EQ((*picked)[0].first, Value());
  EXPECT_EQ((*picked)[0].second, Value(int64_t{1}));
  EXPECT_EQ((*picked)[1].first, Value("t"));
  EXPECT_EQ((*picked)[1].second,
            Value(ValueList{Value(ValueList{Value("a"), Value(int64_t{1}), Value(int64_t{2})})}));
  EXPECT_EQ((*picked)[2].first, Value(Money{"EUR", 1, 2}));
  EXPECT_EQ((*picked)[2].second, Value(true));

  picked = PickFromJson("[]", std::vector<std::string>{"a"});
  ASSERT_TRUE(picked.ok());
  EXPECT_TRUE(picked->empty());
  for (const char* text :
       {"", "1", "{}", "[1]", "[{}]", "[[]]", R"([["a"]])", R"([["a",1]])", R"([["a",1,2,3]])",
        R"([[1,2,3]])", R"([[["a"],1,2]])", R"([["a",1,2]] 3)", R"([["a",1,2])", R"([["a",1.5,2]])",
        R"([["a",{"$x":1},2]])"}) {
    EXPECT_FALSE(PickFromJson(text, std::vector<std::string>{"a"}).ok()) << text;
  }
}

TEST(RowsTest, APartOfARowHoldsTheNamedFieldsInTheirOrder) {
  PartOfRow<Lead> part(std::vector<std::string_view>{"estimated_value", "person.emails", "stage"});
  std::vector<std::string> names;
  for (const Column& column : part.table.columns) names.push_back(column.name);
  EXPECT_THAT(names, ElementsAre("tenant_id", "lead_id", "revision", "stage", "person_emails",
                                 "estimated_value_units", "estimated_value_nanos",
                                 "estimated_value_currency_code"));
  Lead lead;
  lead.id = domain::LeadId("l");
  lead.revision = 3;
  lead.stage = domain::Stage::kProspect;
  lead.person.emails = {{"a@b.c", "work"}};
  lead.estimated_value = Money{"EUR", 5, 6};
  Row row{"t",
          "l",
          int64_t{3},
          static_cast<int64_t>(lead.stage),
          R"([{"address":"a@b.c","label":"work"}])",
          int64_t{5},
          int64_t{6},
          "EUR"};
  Lead back;
  ASSERT_EQ(part.Read(row, back), absl::OkStatus());
  EXPECT_EQ(back, lead);
}

TEST(RowsTest, ColumnsOfALeadFollowItsFields) {
  const Table& table = TableOf<Lead>();
  EXPECT_EQ(table.name, "leads");
  EXPECT_THAT(table.key, ElementsAre("tenant_id", "lead_id"));
  EXPECT_EQ(table.columns[0].name, "tenant_id");
  EXPECT_EQ(table.columns[1].name, "lead_id");
  EXPECT_EQ(table.columns[2].name, "revision");
  EXPECT_EQ(table.columns[3].name, "stage");
  size_t at = ColumnIndex(table, "estimated_value_units");
  ASSERT_LT(at + 2, table.columns.size());
  EXPECT_EQ(table.columns[at + 1].name, "estimated_value_nanos");
  EXPECT_EQ(table.columns[at + 2].name, "estimated_value_currency_code");
  EXPECT_EQ(table.columns[ColumnIndex(table, "person_postal_address_street")].type,
            ColumnType::kText);
  EXPECT_EQ(table.columns[ColumnIndex(table, "person_emails")].type, ColumnType::kJson);
  EXPECT_EQ(ColumnIndex(table, "nothing"), table.columns.size());
}

TEST(RowsTest, NoTableHasAColumnTwiceAndEveryKeyBeginsWithTheTenant) {
  std::set<std::string> tables;
  for (const Table* table : AllTables()) {
    EXPECT_TRUE(tables.insert(table->name).second) << table->name;
    EXPECT_EQ(table->key.front(), "tenant_id") << table->name;
    std::set<std::string> columns;
    for (const Column& column : table->columns) {
      EXPECT_TRUE(columns.insert(column.name).second) << table->name << "." << column.name;
    }
    for (const std::string& key : table->key) EXPECT_TRUE(columns.contains(key)) << table->name;
  }
}

TEST(RowsTest, ChangedColumnsAreThoseThatDiffer) {
  Lead before;
  Lead after = before;
  EXPECT_TRUE(ChangedColumns(ToRow(TenantId("t"), before), ToRow(TenantId("t"), after)).empty());
  after.score = 3;
  after.needs = {"crm"};
  std::vector<std::string> names;
  for (size_t column : ChangedColumns(ToRow(TenantId("t"), before), ToRow(TenantId("t"), after))) {
    names.push_back(TableOf<Lead>().columns[column].name);
  }
  EXPECT_THAT(names, ElementsAre("needs", "score"));
}

TEST(RowsTest, ARowThatIsNotAnEntityIsRefusedByColumn) {
  Lead lead;
  lead.person.given_name = "secret";
  const Row good = ToRow(TenantId("t"), lead);
  ASSERT_TRUE(FromRow<Lead>(good).ok());

  Row narrow = good;
  narrow.pop_back();
  EXPECT_FALSE(FromRow<Lead>(narrow).ok());
  struct Case {
    const char* column;
    Cell cell;
  };
  for (const Case& c : std::vector<Case>{{"stage", int64_t{99}},
                                         {"stage", int64_t{-1}},
                                         {"stage", "PROSPECT"},
                                         {"score", "secret"},
                                         {"person_given_name", int64_t{1}},
                                         {"person_emails", "{\"secret\":\"x\"}"},
                                         {"person_emails", "[1"},
                                         {"labels", "[\"secret\"]"},
                                         {"estimated_value_units", int64_t{1}}}) {
    Row row = good;
    row[ColumnIndex(TableOf<Lead>(), c.column)] = c.cell;
    absl::StatusOr<Lead> read = FromRow<Lead>(row);
    ASSERT_FALSE(read.ok()) << c.column;
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInternal);
    EXPECT_THAT(read.status().ToString(), Not(HasSubstr("secret")));
    if (std::string_view(c.column) != "estimated_value_units") {
      EXPECT_THAT(read.status().ToString(), HasSubstr(c.column));
    }
  }
}

TEST(BulkTest, AnUpdateAlwaysWritesTheRevisionAndNeverTheKey) {
  const Table& table = TableOf<Lead>();
  absl::StatusOr<std::vector<size_t>> columns = ColumnsToUpdate(table, {7, 3, 7});
  ASSERT_TRUE(columns.ok());
  EXPECT_THAT(*columns, ElementsAre(2, 3, 7));
  EXPECT_FALSE(ColumnsToUpdate(table, {1}).ok());
  EXPECT_FALSE(ColumnsToUpdate(table, {table.columns.size()}).ok());
  EXPECT_FALSE(ColumnsToUpdate(LeadIdentitiesTable(), {3}).ok());
}

TEST(BulkTest, KeysAreTakenOnceAndNullMatchesNothing) {
  absl::StatusOr<std::vector<Row>> keys = DistinctKeys(
      {Row{"b", int64_t{1}}, Row{"a", Cell()}, Row{"a", int64_t{2}}, Row{"b", int64_t{1}}}, 2);
  ASSERT_TRUE(keys.ok());
  EXPECT_THAT(*keys, ElementsAre(Row{"a", int64_t{2}}, Row{"b", int64_t{1}}));
  EXPECT_FALSE(DistinctKeys({Row{"a"}}, 2).ok());
}

TEST(MigrationTest, BothEnginesHaveTheSameSteps) {
  ASSERT_FALSE(SqliteMigrations().empty());
  ASSERT_EQ(SqliteMigrations().size(), PostgresMigrations().size());
  for (size_t i = 0; i < SqliteMigrations().size(); ++i) {
    EXPECT_EQ(SqliteMigrations()[i].number, static_cast<int64_t>(i + 1));
    EXPECT_EQ(SqliteMigrations()[i].number, PostgresMigrations()[i].number);
    EXPECT_EQ(SqliteMigrations()[i].name, PostgresMigrations()[i].name);
    EXPECT_EQ(SqliteMigrations()[i].checksum.size(), 64u);
  }
}

TEST(MigrationTest, PendingAreThoseAfterTheRecordedOnes) {
  const Migration known[] = {{1, "first", "a", ""}, {2, "second", "b", ""}, {3, "third", "c", ""}};
  EXPECT_EQ(PendingMigrations(known, {})->size(), 3u);
  EXPECT_EQ(PendingMigrations(known, {{1, "a"}, {2, "b"}})->front().number, 3);
  EXPECT_TRUE(PendingMigrations(known, {{1, "a"}, {2, "b"}, {3, "c"}})->empty());

  auto reason = [&](absl::Span<const AppliedMigration> applied) {
    absl::Status status = PendingMigrations(known, applied).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return domain::FaultOf(status)->reason;
  };
  EXPECT_EQ(reason({{1, "a"}, {2, "b"}, {3, "c"}, {4, "d"}}), "SCHEMA_NEWER");
  EXPECT_EQ(reason({{1, "a"}, {2, "x"}}), "SCHEMA_DIFFERS");
  EXPECT_EQ(reason({{1, "a"}, {3, "c"}}), "SCHEMA_DIFFERS");
}

}  // namespace
}  // namespace relais::storage
