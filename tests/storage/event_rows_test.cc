// What the log's rows hide, and from whom.

#include "storage/engine/event_rows.h"

#include <string>
#include <unordered_map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine/vault.h"

namespace relais::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class EventRowsTest : public ::testing::Test {
 protected:
  EventRowsTest() {
    event_.type = domain::EventType::kLeadUpdated;
    event_.subject = "leads/01940000-0001-7000-8000-000000000001";
    event_.lead = domain::LeadId("01940000-0001-7000-8000-000000000001");
    event_.actor = "tester";
    event_.trigger = "UpdateLead";
    event_.changes = {
        {"score", domain::Value(int64_t{3}), domain::Value(int64_t{5}), false},
        {"person.given_name", domain::Value(), domain::Value("Wilhelmina"), true},
    };
    keys_ = {{event_.lead.value, std::string(kKeyBytes, 'p')}};
  }

  Row RowOf() const { return ToEventRow(tenant_, event_, "batch", 0, vault_, keys_); }

  const domain::TenantId tenant_{"default"};
  const Vault vault_{std::string(kKeyBytes, 'm')};
  std::unordered_map<std::string, std::string> keys_;
  domain::Event event_;
};

TEST_F(EventRowsTest, PersonalValuesAreNowhereInTheClear) {
  for (const Cell& cell : RowOf()) {
    EXPECT_THAT(std::string(TextOf(cell)), Not(HasSubstr("Wilhelmina")));
    EXPECT_THAT(std::string(TextOf(cell)), Not(HasSubstr("given_name")));
  }
}

TEST_F(EventRowsTest, TheKeyOfThePersonOpensThem) {
  auto event = FromEventRow(RowOf(), vault_, keys_);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->changes, event_.changes);
  EXPECT_FALSE(event->erased);
}

TEST_F(EventRowsTest, WithoutTheKeyTheyAreErasedAndTheRestStays) {
  auto event = FromEventRow(RowOf(), vault_, {});
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_TRUE(event->erased);
  ASSERT_EQ(event->changes.size(), 1u);
  EXPECT_EQ(event->changes[0].path, "score");
}

TEST_F(EventRowsTest, AnotherKeyOrAnotherSubjectDoesNotOpenThem) {
  EXPECT_EQ(FromEventRow(RowOf(), vault_, {{event_.lead.value, std::string(kKeyBytes, 'q')}})
                .status()
                .code(),
            absl::StatusCode::kDataLoss);
  Row moved = RowOf();
  moved[4] = std::string("leads/01940000-0001-7000-8000-000000000002");
  EXPECT_EQ(FromEventRow(moved, vault_, keys_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(EventRowsTest, EqualEventsOfTwoBatchesHaveDifferentDigests) {
  EXPECT_NE(TextOf(RowOf()[14]),
            TextOf(ToEventRow(tenant_, event_, "other", 0, vault_, keys_)[14]));
}

TEST_F(EventRowsTest, AnOutlineHoldsTheNamedChangesAndTellsOfPersonalOnes) {
  Row row = RowOf();
  Row outline = {int64_t{7}, int64_t{8}, row[3], row[5], row[12], int64_t{1}};
  auto event = FromEventOutline(outline, std::vector<std::string>{"score", "stage"});
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->number, 7);
  EXPECT_EQ(event->record_time.micros, 8);
  EXPECT_EQ(event->type, event_.type);
  EXPECT_EQ(event->lead, event_.lead);
  EXPECT_TRUE(event->sealed);
  ASSERT_EQ(event->changes.size(), 1u);
  EXPECT_EQ(event->changes[0], event_.changes[0]);
  event = FromEventOutline(outline, std::vector<std::string>{"stage"});
  ASSERT_TRUE(event.ok());
  EXPECT_TRUE(event->changes.empty());
}

TEST(Sha256Test, PiecesAreDigestedAsOneText) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().Add("a").Add("").Add("bc").Hex(8), "ba7816bf");
}

}  // namespace
}  // namespace relais::storage
