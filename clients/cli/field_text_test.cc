#include "clients/cli/field_text.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "clients/cli/identity.h"
#include "clients/cli/test_files.h"
#include "relais/v1/lead.pb.h"

namespace relais::cli {
namespace {

v1::Lead Sample() {
  v1::Lead lead;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(name: "leads/1"
           stage: STAGE_PROSPECT
           score: 42
           person {
             emails { address: "a@example.com" label: "work" }
             emails { address: "b@example.com" }
           }
           organization { headcount: 0 }
           needs: "x"
           needs: "y"
           labels { key: "plan" value: "gold" }
           labels { key: "area" value: "north" }
           estimated_value { currency_code: "EUR" units: 12 nanos: 500000000 }
           create_time { seconds: 1519603200 nanos: 250000000 })pb",
      &lead));
  return lead;
}

TEST(FieldTextTest, FieldsAreReadByPath) {
  v1::Lead lead = Sample();
  EXPECT_EQ(FieldText(lead, "name"), "leads/1");
  EXPECT_EQ(FieldText(lead, "stage"), "PROSPECT");
  EXPECT_EQ(FieldText(lead, "market"), "");
  EXPECT_EQ(FieldText(lead, "score"), "42");
  EXPECT_EQ(FieldText(lead, "person.emails.address"), "a@example.com; b@example.com");
  EXPECT_EQ(FieldText(lead, "person.emails.1.address"), "b@example.com");
  EXPECT_EQ(FieldText(lead, "person.emails.7.address"), "");
  EXPECT_EQ(FieldText(lead, "needs"), "x; y");
  EXPECT_EQ(FieldText(lead, "labels"), "area=north; plan=gold");
  EXPECT_EQ(FieldText(lead, "labels.plan"), "gold");
  EXPECT_EQ(FieldText(lead, "labels.nothing"), "");
  EXPECT_EQ(FieldText(lead, "estimated_value"), "12.5 EUR");
  EXPECT_EQ(FieldText(lead, "create_time"), "2018-02-26T00:00:00.250Z");
  EXPECT_EQ(FieldText(lead, "milestones.prospect_time"), "");
  EXPECT_EQ(FieldText(lead, "organization.headcount"), "0");
}

TEST(FieldTextTest, PathsThatTheTypeDoesNotHaveAreRefused) {
  for (const char* path :
       {"name", "person.emails.0.address", "labels.any", "person", "create_time"}) {
    EXPECT_TRUE(CheckFieldPath(v1::Lead::descriptor(), path).ok()) << path;
  }
  for (const char* path : {"", "nothing", "name.x", "person.nothing", "labels.a.b",
                           "person..emails", "create_time.seconds", "person.emails.address.x"}) {
    EXPECT_FALSE(CheckFieldPath(v1::Lead::descriptor(), path).ok()) << path;
  }
}

class IdentityTest : public FilesTest {};

TEST_F(IdentityTest, TheSameContentGivesTheSameIdAndAnyOtherAnother) {
  std::string a = Write("a", "content"), b = Write("b", "content"), c = Write("c", "contenu");
  std::string empty = Write("d", ""), both = Write("e", "contentcontent");
  EXPECT_EQ(*ContentUuid({a, c}), *ContentUuid({b, c}));
  EXPECT_NE(*ContentUuid({a, c}), *ContentUuid({c, a}));
  EXPECT_NE(*ContentUuid({a, b}), *ContentUuid({both, empty}));
  EXPECT_EQ(ContentUuid({"/nowhere"}).status().code(), absl::StatusCode::kNotFound);
  std::string id = *ContentUuid({a});
  EXPECT_EQ(id.size(), 36u);
  EXPECT_EQ(id[14], '8');
  EXPECT_NE(RandomUuid(), RandomUuid());
}

}  // namespace
}  // namespace relais::cli
