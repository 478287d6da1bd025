#include "server/domain/consent.h"

#include <string>

#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

Consent Decision(ConsentState state, Timestamp at,
                 ConsentChannel channel = ConsentChannel::kEmail) {
  Consent consent;
  consent.channel = channel;
  consent.purpose = ConsentPurpose::kMarketing;
  consent.state = state;
  consent.occur_time = at;
  return consent;
}

constexpr auto kGranted = ConsentState::kGranted;
constexpr auto kWithdrawn = ConsentState::kWithdrawn;

TEST(ConsentTest, TheFirstDecisionIsWritten) {
  Lead lead;
  EXPECT_TRUE(ApplyConsent(lead, Decision(kGranted, {1'500})));
  EXPECT_THAT(lead.consents, ElementsAre(Pair("EMAIL/MARKETING", "GRANTED")));
  EXPECT_THAT(lead.consent_times, ElementsAre(Pair("EMAIL/MARKETING", "1500")));
}

TEST(ConsentTest, ALaterDecisionHoldsAndAnEarlierOneDoesNot) {
  Lead lead;
  ApplyConsent(lead, Decision(kGranted, {2'000}));
  EXPECT_FALSE(ApplyConsent(lead, Decision(kWithdrawn, {1'999})));
  EXPECT_EQ(lead.consents["EMAIL/MARKETING"], "GRANTED");
  EXPECT_TRUE(ApplyConsent(lead, Decision(kWithdrawn, {2'001})));
  EXPECT_EQ(lead.consents["EMAIL/MARKETING"], "WITHDRAWN");
  // A later confirmation moves the time.
  EXPECT_TRUE(ApplyConsent(lead, Decision(kWithdrawn, {3'000})));
  EXPECT_EQ(lead.consent_times["EMAIL/MARKETING"], "3000");
}

TEST(ConsentTest, OfTheSameMomentTheOneRecordedLaterHolds) {
  Lead lead;
  ApplyConsent(lead, Decision(kGranted, {2'000}));
  EXPECT_TRUE(ApplyConsent(lead, Decision(kWithdrawn, {2'000})));
  EXPECT_EQ(lead.consents["EMAIL/MARKETING"], "WITHDRAWN");
  EXPECT_FALSE(ApplyConsent(lead, Decision(kWithdrawn, {2'000})));
}

TEST(ConsentTest, TimesBefore1970Count) {
  Lead lead;
  ApplyConsent(lead, Decision(kGranted, {-5}));
  EXPECT_FALSE(ApplyConsent(lead, Decision(kWithdrawn, {-6})));
  EXPECT_TRUE(ApplyConsent(lead, Decision(kWithdrawn, {-4})));
}

TEST(ConsentTest, AChannelFollowsItsOwnDecisionOrTheOneForAny) {
  auto state = [](const Lead& lead) {
    return ConsentFor(lead, ConsentChannel::kEmail, ConsentPurpose::kMarketing);
  };
  Lead lead;
  EXPECT_EQ(state(lead), std::nullopt);
  ApplyConsent(lead, Decision(kGranted, {10}, ConsentChannel::kAny));
  EXPECT_EQ(state(lead), kGranted);
  ApplyConsent(lead, Decision(kWithdrawn, {20}));
  EXPECT_EQ(state(lead), kWithdrawn);
  ApplyConsent(lead, Decision(kGranted, {30}, ConsentChannel::kAny));
  EXPECT_EQ(state(lead), kGranted);
  ApplyConsent(lead, Decision(kWithdrawn, {30}));
  EXPECT_EQ(state(lead), kWithdrawn);
  EXPECT_EQ(ConsentFor(lead, ConsentChannel::kSms, ConsentPurpose::kMarketing), kGranted);
  EXPECT_EQ(ConsentFor(lead, ConsentChannel::kSms, ConsentPurpose::kSales), std::nullopt);
}

}  // namespace
}  // namespace relais::domain
