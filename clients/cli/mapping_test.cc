#include "clients/cli/mapping.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include "clients/cli/test_files.h"

namespace relais::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kLeads[] = R"(
csv: {encoding: utf-8}
constants: {system: shop}
maps:
  channel: {values: {organic: SEO, "": UNSPECIFIED}}
unique: "${id}"
warnings:
  - when: "amount > 1000"
    text: "amount ${amount} is unusual"
rows:
  - row: capture
    fields:
      lead:
        market: B2B
        person:
          given_name: "${name}"
          emails: [{address: "${email}"}]
        acquisition: {channel: "${origin|map:channel}", source: "${origin}"}
        external_ids: [{system: "${const.system}", id: "${id}"}]
        estimated_value: {amount: "${amount}", currency: EUR}
        labels: {plan: "${plan}", file: "${file.name}"}
        needs: ["${plan}", "${name}"]
      touchpoint:
        kind: FORM
        occur_time: "${day}"
        source: shop
        external_id: "${id}"
)";

class MappingTest : public FilesTest {
 protected:
  // Maps every record of a file; compile errors are kept aside.
  std::vector<MappedRecord> Map(const std::string& yaml, const std::string& csv) {
    error_.clear();
    std::vector<MappedRecord> out;
    auto file = ReadMappingFile(Write("map.yaml", yaml));
    if (!file.ok()) {
      error_ = std::string(file.status().message());
      return out;
    }
    std::string data = Write("data.csv", csv);
    auto reader = CsvReader::Open(data, file->csv);
    if (!reader.ok()) {
      error_ = std::string(reader.status().message());
      return out;
    }
    auto mapping = Mapping::Compile(*file, data, (*reader)->header());
    if (!mapping.ok()) {
      error_ = std::string(mapping.status().message());
      return out;
    }
    CsvRecord record;
    while (*(*reader)->Next(record)) out.push_back(mapping->Map(record));
    return out;
  }

  std::string error_;
};

constexpr char kHeader[] = "id,name,email,origin,amount,plan,day\n";

TEST_F(MappingTest, ALineBecomesATypedRow) {
  auto mapped =
      Map(kLeads, std::string(kHeader) + "7,Ana,ana@example.com,organic,12.50,gold,2018-02-26\n");
  ASSERT_EQ(error_, "");
  ASSERT_EQ(mapped.size(), 1u);
  ASSERT_EQ(mapped[0].rows.size(), 1u);
  v1::ImportRow expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(capture {
             lead {
               market: MARKET_B2B
               person {
                 given_name: "Ana"
                 emails { address: "ana@example.com" }
               }
               acquisition { channel: CHANNEL_SEO source: "organic" }
               external_ids { system: "shop" id: "7" }
               estimated_value { currency_code: "EUR" units: 12 nanos: 500000000 }
               labels { key: "plan" value: "gold" }
               labels { key: "file" value: "data.csv" }
               needs: "gold"
               needs: "Ana"
             }
             touchpoint {
               kind: TOUCHPOINT_KIND_FORM
               occur_time { seconds: 1519603200 }
               source: "shop"
               external_id: "7"
             }
           })pb",
      &expected));
  EXPECT_EQ(mapped[0].rows[0].capture().lead().labels().at("plan"), "gold");
  v1::ImportRow row = mapped[0].rows[0];
  std::string got, want;
  google::protobuf::TextFormat::PrintToString(row, &got);
  google::protobuf::TextFormat::PrintToString(expected, &want);
  EXPECT_EQ(got, want);
  EXPECT_EQ(TimeOf(row), 1519603200'000'000);
}

TEST_F(MappingTest, EmptyCellsLeaveFieldsAbsent) {
  auto mapped = Map(kLeads, std::string(kHeader) + "7,,,,,,2018-02-26\n");
  ASSERT_EQ(mapped.size(), 1u);
  ASSERT_EQ(mapped[0].rows.size(), 1u);
  const v1::Lead& lead = mapped[0].rows[0].capture().lead();
  EXPECT_FALSE(lead.has_person());
  EXPECT_FALSE(lead.has_estimated_value());
  EXPECT_EQ(lead.acquisition().source(), "");
  EXPECT_EQ(lead.labels().size(), 1u);
  EXPECT_EQ(lead.needs_size(), 0);
}

TEST_F(MappingTest, WhatCannotBeMappedIsRefusedWithItsFieldAndTheNextLineIsMapped) {
  auto mapped = Map(kLeads, std::string(kHeader) +
                                "1,Ana,,organic,x,,2018-02-26\n"
                                "2,Ana,,organic,1,,2018-02-31\n"
                                "3,Ana,,paid,1,,2018-02-26\n"
                                "4,Ana\n"
                                "5,An\xE1,,organic,1,,2018-02-26\n"
                                "6,Ana,,organic,1,,2018-02-26\n");
  ASSERT_EQ(mapped.size(), 6u);
  const char* fields[] = {"capture.lead.estimated_value", "capture.touchpoint.occur_time",
                          "capture.lead.acquisition.channel", "", "name"};
  const char* reasons[] = {"not an amount", "not a date", "not in the map",
                           "2 fields where the header has 7", "not valid UTF-8"};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(mapped[i].rows.empty()) << i;
    ASSERT_EQ(mapped[i].rejects.size(), 1u) << i;
    EXPECT_EQ(mapped[i].rejects[0].field, fields[i]);
    EXPECT_THAT(mapped[i].rejects[0].reason, HasSubstr(reasons[i]));
  }
  EXPECT_EQ(mapped[5].rows.size(), 1u);
}

TEST_F(MappingTest, RefusalsDoNotRepeatTheValueOfTheCell) {
  auto mapped = Map(kLeads, std::string(kHeader) + "1,Ana,,secret-origin,1,,2018-02-26\n");
  ASSERT_EQ(mapped[0].rejects.size(), 1u);
  EXPECT_THAT(mapped[0].rejects[0].reason, ::testing::Not(HasSubstr("secret-origin")));
}

TEST_F(MappingTest, TheSecondLineWithOneKeyIsADuplicate) {
  auto mapped =
      Map(kLeads, std::string(kHeader) +
                      "7,Ana,,,1,,2018-02-26\n8,Bea,,,1,,2018-02-26\n7,Eva,,,1,,2018-02-26\n");
  ASSERT_EQ(mapped.size(), 3u);
  EXPECT_TRUE(mapped[2].rows.empty());
  ASSERT_EQ(mapped[2].rejects.size(), 1u);
  EXPECT_EQ(mapped[2].rejects[0].reason, "duplicate: the same key as line 2");
}

TEST_F(MappingTest, WarningsAreGivenAndTheLineIsMapped) {
  auto mapped = Map(kLeads, std::string(kHeader) + "7,Ana,,,50000000.0,,2018-02-26\n");
  ASSERT_EQ(mapped.size(), 1u);
  EXPECT_EQ(mapped[0].rows.size(), 1u);
  EXPECT_THAT(mapped[0].warnings, ElementsAre("amount 50000000.0 is unusual"));
}

TEST_F(MappingTest, EveryMissingColumnIsNamedAtOnce) {
  Map(kLeads, "id,name\n7,Ana\n");
  EXPECT_THAT(error_,
              HasSubstr("missing: amount, day, email, origin, plan (the file has: id, name)"));
}

constexpr char kDeals[] = R"(
tables:
  account: {file: accounts.csv, key: account, by: "${account}", required: true,
            aliases: {ACME: Acme}}
rows:
  - row: capture
    once_per: ["${account}", "line ${id}"]
    fields:
      lead: {organization: {display_name: "${account.account}", industry: "${account.sector}"}}
      touchpoint: {occur_time: "${open}"}
  - row: opportunity
    fields:
      lead: {external_id: {system: crm, id: "${account}"}}
      opportunity: {display_name: ["${title}", "deal ${id}"]}
      occur_time: "${open}"
  - row: close
    when: ["stage in [Won, Lost]", "close is not empty"]
    fields:
      opportunity: {system: crm, id: "${id}"}
      outcome: "${stage}"
      occur_time: "${close}"
)";

TEST_F(MappingTest, OneLineGivesSeveralRowsByConditionsTablesAndOncePer) {
  Write("accounts.csv", "account,sector\nAcme,retail\nBolt,energy\n");
  auto mapped = Map(kDeals,
                    "id,account,title,stage,open,close\n"
                    "1,ACME,,Won,2017-01-01,2017-02-01\n"
                    "2,ACME,big one,Engaging,2017-01-02,\n"
                    "3,Bolt,,Lost,2017-01-03,\n"
                    "4,Nobody,,Won,2017-01-04,2017-02-04\n"
                    "5,,,Engaging,2017-01-05,\n"
                    "6,,,Engaging,2017-01-06,\n");
  ASSERT_EQ(error_, "");
  ASSERT_EQ(mapped.size(), 6u);
  ASSERT_EQ(mapped[0].rows.size(), 3u);
  EXPECT_EQ(mapped[0].rows[0].capture().lead().organization().industry(), "retail");
  EXPECT_EQ(mapped[0].rows[1].opportunity().opportunity().display_name(), "deal 1");
  EXPECT_EQ(mapped[0].rows[2].close().outcome(), v1::CLOSE_OUTCOME_WON);
  ASSERT_EQ(mapped[1].rows.size(), 1u);
  EXPECT_EQ(mapped[1].rows[0].opportunity().opportunity().display_name(), "big one");
  EXPECT_EQ(mapped[2].rows.size(), 2u);
  ASSERT_EQ(mapped[3].rejects.size(), 1u);
  EXPECT_EQ(mapped[3].rejects[0].field, "account");
  // A line without a key is not a line with an unknown one.
  EXPECT_EQ(mapped[4].rows.size(), 2u);
  EXPECT_EQ(mapped[5].rows.size(), 2u);
}

TEST_F(MappingTest, AKeyCountsAsSeenOnlyWhenItsLineWasMapped) {
  Write("accounts.csv", "account,sector\nAcme,retail\n");
  auto mapped = Map(kDeals,
                    "id,account,title,stage,open,close\n"
                    "1,Acme,,Won,2017-01-01,not a date\n"
                    "2,Acme,,Engaging,2017-01-02,\n");
  ASSERT_EQ(mapped.size(), 2u);
  EXPECT_TRUE(mapped[0].rows.empty());
  EXPECT_EQ(mapped[1].rows.size(), 2u);
}

TEST_F(MappingTest, MistakesInTheMappingAreNamedWithTheirLine) {
  struct Case {
    const char* yaml;
    const char* error;
  };
  const Case cases[] = {
      {"rows: [", "line"},
      {"rwos: []", "mapping line 1: unknown key \"rwos\""},
      {"rows: []", "\"rows\" must list at least one row"},
      {"rows:\n  - row: person\n    fields: {}",
       "line 2: rows: \"row\" is one of: capture, touchpoint, qualification, opportunity, close"},
      {"rows:\n  - row: capture\n    fields: {lead: {persn: {}}}",
       "line 3: capture.lead: no field \"persn\"; there are: name, stage, market, person"},
      {"rows:\n  - row: capture\n    fields: {lead: {market: B2X}}",
       "line 3: capture.lead.market: \"B2X\" is no Market"},
      {"rows:\n  - row: capture\n    fields: {lead: {market: [[x]]}}", "expected a text"},
      {"rows:\n  - row: capture\n    fields: {lead: {person: x}}", "expected fields"},
      {"rows:\n  - row: capture\n    fields: {lead: {needs: x}}", "expected a list"},
      {"rows:\n  - row: capture\n    fields: {lead: {estimated_value: 5}}", "money is written"},
      {"rows:\n  - row: capture\n    fields: {touchpoint: {occur_time: soon}}", "is not a date"},
      {"rows:\n  - row: capture\n    when: id\n    fields: {}", "expected one of: is, is not"},
      {"rows:\n  - row: capture\n    when: day is empty\n    fields: {}", "missing: day"},
      {"rows:\n  - row: capture", "\"fields\" is missing"},
      {"csv: {separator: ab}\nrows: []", "a separator is one character"},
      {"csv: {encoding: ebcdic}\nrows: []", "the encodings are"},
      {"order: backwards\nrows: []", "order is file or time"},
      {"unique: [id]\nrows: []", "unique: expected a text"},
      {"maps: {m: {x: y}}\nrows: []", "unknown key \"x\""},
      {"tables: {t: {file: none.csv, key: a, by: \"${id}\"}}\nrows: []", "none.csv"},
      {"tables: {t: {file: data.csv, key: a, by: \"${id}\"}}\nrows: []", "no column \"a\""},
      {"csv: {}\ncsv: {}\nrows: []", "given twice"},
  };
  for (const Case& c : cases) {
    Map(c.yaml, "id\n1\n");
    EXPECT_THAT(error_, HasSubstr(c.error)) << c.yaml;
  }
}

TEST_F(MappingTest, AMissingMappingFileIsSaid) {
  EXPECT_EQ(ReadMappingFile("/nowhere/map.yaml").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace relais::cli
