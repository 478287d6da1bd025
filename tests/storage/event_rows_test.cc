// What the log's rows hide, and from whom.

#include "storage/engine/event_rows.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/domain/concat.h"
#include "server/domain/directory.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/segment.h"
#include "storage/engine/vault.h"
#include "storage/sql/json.h"

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
    domain::Lead before, after;
    before.score = 3;
    after.score = 5;
    after.person.given_name = "Wilhelmina";
    changes_ = ChangesOf(before, after, false);
    event_.changes = {
        {"score", domain::Value(int64_t{3}), domain::Value(int64_t{5}), false},
        {"person.given_name", domain::Value(), domain::Value("Wilhelmina"), true},
    };
    keys_ = {{event_.lead.value, std::string(kKeyBytes, 'p')}};
  }

  Row RowOf() const { return ToEventRow(tenant_, event_, changes_, "batch", 0, vault_, keys_); }

  const domain::TenantId tenant_{"default"};
  const Vault vault_{std::string(kKeyBytes, 'm')};
  std::unordered_map<std::string, std::string> keys_;
  domain::Event event_;
  ChangesText changes_;
};

domain::Value SomeValue(const domain::FieldSpec& spec, int64_t number) {
  const std::string text = Concat("\"", number, "\" \n");
  switch (spec.type) {
    case domain::FieldType::kBool:
      return domain::Value(number % 2 == 1);
    case domain::FieldType::kInt:
      return domain::Value(-number);
    case domain::FieldType::kText:
    case domain::FieldType::kBlob:
      return domain::Value(text);
    case domain::FieldType::kTime:
      return domain::Value(domain::Timestamp{number});
    case domain::FieldType::kEnum:
      return domain::Value(int64_t{1});
    case domain::FieldType::kMoney:
      return domain::Value(domain::Money{"EUR", number, static_cast<int32_t>(number)});
    case domain::FieldType::kTextList:
      return domain::Value(domain::ValueList{domain::Value(text), domain::Value("b")});
    case domain::FieldType::kTextMap:
      return domain::Value(domain::ValueMap{{text, domain::Value(text)}});
    case domain::FieldType::kRecordList:
      return domain::Value(domain::ValueList{
          domain::Value(domain::ValueMap{{std::string(spec.members[0]), domain::Value(text)}})});
  }
  return {};
}

template <class E>
class ChangesTextTest : public ::testing::Test {};
using Entities =
    ::testing::Types<domain::Lead, domain::Opportunity, domain::Touchpoint, domain::Consent,
                     domain::Assessment, domain::User, domain::Team, domain::Import,
                     domain::Operation, domain::Calendar, domain::Handoff, domain::Segment>;
TYPED_TEST_SUITE(ChangesTextTest, Entities);

TYPED_TEST(ChangesTextTest, IsTheDifferenceAsJson) {
  using E = TypeParam;
  E entities[3];  // nothing, half of the fields, others of them
  int64_t number = 0;
  for (const domain::Field<E>& field : domain::FieldsOf<E>()) {
    ++number;
    if (number % 2 == 0) field.set(entities[1], SomeValue(field.spec, number));
    if (number % 3 != 0) field.set(entities[2], SomeValue(field.spec, number % 4 * number));
  }
  for (const E& before : entities) {
    for (const E& after : entities) {
      for (bool made : {false, true}) {
        domain::ValueList open, personal;
        for (domain::FieldChange& change : domain::Diff(before, after)) {
          (change.personal ? personal : open)
              .emplace_back(domain::ValueList{domain::Value(change.path),
                                              made ? domain::Value() : change.before,
                                              change.after});
        }
        ChangesText text = ChangesOf(before, after, made);
        EXPECT_EQ(text.open, open.empty() ? "" : ToJson(domain::Value(open)));
        EXPECT_EQ(text.personal, personal.empty() ? "" : ToJson(domain::Value(personal)));
      }
    }
  }
}

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
            TextOf(ToEventRow(tenant_, event_, changes_, "other", 0, vault_, keys_)[14]));
}

TEST_F(EventRowsTest, AnOutlineHoldsTheNamedChangesAndTellsOfPersonalOnes) {
  Row row = RowOf();
  Row outline = {int64_t{7}, int64_t{8},           row[3], row[5], row[12],
                 int64_t{1}, std::string("tester")};
  auto event = FromEventOutline(outline, std::vector<std::string>{"score", "stage"});
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->number, 7);
  EXPECT_EQ(event->record_time.micros, 8);
  EXPECT_EQ(event->type, event_.type);
  EXPECT_EQ(event->lead, event_.lead);
  EXPECT_TRUE(event->sealed);
  EXPECT_EQ(event->actor, "tester");
  ASSERT_EQ(event->changes.size(), 1u);
  EXPECT_EQ(event->changes[0], event_.changes[0]);
  event = FromEventOutline(outline, std::vector<std::string>{"stage"});
  ASSERT_TRUE(event.ok());
  EXPECT_TRUE(event->changes.empty());
}

TEST_F(EventRowsTest, WhatADecisionWasMadeOnFollowsTheChanges) {
  const std::vector<domain::FieldChange> facts = {
      {"routing.rule", {}, domain::Value("routingRules/r@1"), false}};
  ChangesText texts = changes_;
  AddFacts(facts, texts);
  auto event =
      FromEventRow(ToEventRow(tenant_, event_, texts, "batch", 0, vault_, keys_), vault_, keys_);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_NE(std::find(event->changes.begin(), event->changes.end(), facts[0]),
            event->changes.end());
  EXPECT_EQ(event->changes.size(), event_.changes.size() + 1);
  ChangesText none;
  AddFacts({}, none);
  EXPECT_EQ(none.open, "");
  AddFacts(facts, none);
  EXPECT_EQ(none.open, R"([["routing.rule",null,"routingRules/r@1"]])");
}

constexpr size_t kNonceDigits = 16;  // 12 bytes in base64

std::string NonceOf(const std::string& sealed) { return sealed.substr(0, kNonceDigits); }

TEST(VaultTest, NoNonceIsUsedTwice) {
  const std::string key(kKeyBytes, 'k');
  std::set<std::string> nonces;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        std::string nonce = NonceOf(Vault::Seal(key, "text", "context"));
        std::lock_guard lock(mutex);
        EXPECT_TRUE(nonces.insert(nonce).second);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(VaultTest, AForkedProcessDoesNotGoOnWithTheNoncesOfItsParent) {
  const std::string key(kKeyBytes, 'k');
  (void)Vault::Seal(key, "text", "context");
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::string nonce = NonceOf(Vault::Seal(key, "text", "context"));
    const bool written = write(ends[1], nonce.data(), nonce.size()) == ssize_t{kNonceDigits};
    _exit(written ? 0 : 1);
  }
  char other[kNonceDigits] = {};
  EXPECT_EQ(read(ends[0], other, sizeof other), ssize_t{kNonceDigits});
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
  EXPECT_NE(NonceOf(Vault::Seal(key, "text", "context")), std::string(other, sizeof other));
}

TEST(Sha256Test, PiecesAreDigestedAsOneText) {
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256().Add("a").Add("").Add("bc").Hex(8), "ba7816bf");
}

}  // namespace
}  // namespace relais::storage
