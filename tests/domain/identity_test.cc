#include "server/domain/identity.h"

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const Timestamp kNow = At(2026, 3, 1);
constexpr int kNewId = 999;

Lead Person(std::vector<ExternalId> ids, std::vector<std::string> emails,
            std::vector<std::string> phones, int number = 1) {
  Lead lead = LeadIn(Stage::kLead, number);
  lead.external_ids = std::move(ids);
  for (std::string& address : emails) lead.person.emails.push_back({std::move(address), ""});
  for (std::string& phone : phones) lead.person.phones.push_back({std::move(phone), "", ""});
  return lead;
}

// A directory of owners, as the database would keep it.
class Directory {
 public:
  // Adds a lead that owns every identity it carries.
  const Lead& Add(Lead lead) {
    leads_.push_back(std::move(lead));
    for (const IdentityKey& key : IdentitiesOf(leads_.back())) {
      owners_.emplace(key, leads_.back().id);
    }
    return leads_.back();
  }

  void Keep(const CapturedLead& captured) {
    auto known = std::find_if(leads_.begin(), leads_.end(),
                              [&](const Lead& lead) { return lead.id == captured.lead.id; });
    if (known == leads_.end()) {
      leads_.push_back(captured.lead);
    } else {
      *known = captured.lead;
    }
    for (const IdentityKey& key : captured.claims) {
      bool is_new = owners_.emplace(key, captured.lead.id).second;
      EXPECT_TRUE(is_new) << "claimed twice";
    }
  }

  absl::StatusOr<CapturedLead> Capture(const Lead& captured, int new_id = kNewId) const {
    std::vector<IdentityFinding> findings;
    for (const IdentityKey& key : IdentitiesOf(captured)) {
      IdentityFinding finding{key, Owner(key)};
      finding.shared = Owner(SharedMark(key)) != nullptr;
      findings.push_back(finding);
    }
    return CaptureLead(captured, findings,
                       {.new_id = LeadId(Uuid(new_id)), .now = kNow, .occur_time = kNow});
  }

  const Lead* Owner(const IdentityKey& key) const {
    auto owner = owners_.find(key);
    if (owner == owners_.end()) return nullptr;
    for (const Lead& lead : leads_) {
      if (lead.id == owner->second) return &lead;
    }
    return nullptr;
  }

  const std::deque<Lead>& leads() const { return leads_; }

 private:
  std::deque<Lead> leads_;
  std::map<IdentityKey, LeadId> owners_;
};

TEST(IdentityTest, NobodyKnownMakesALeadThatOwnsEveryKey) {
  Directory directory;
  Lead captured = Person({{"crm", "7"}}, {"ada@example.org"}, {"+33612345678"});
  absl::StatusOr<CapturedLead> result = directory.Capture(captured);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->outcome, CaptureOutcome::kCreated);
  EXPECT_EQ(result->matched_by, IdentityKind::kUnspecified);
  EXPECT_EQ(result->lead.id.value, Uuid(kNewId));
  EXPECT_EQ(result->lead.stage, Stage::kLead);
  EXPECT_EQ(result->lead.milestones.stage_time, kNow);
  EXPECT_EQ(result->lead.acquisition.first_touch_time, kNow);
  EXPECT_THAT(result->conflicts, IsEmpty());
  EXPECT_THAT(result->claims, ElementsAre(IdentityKey{IdentityKind::kExternalId, "crm:7"},
                                          IdentityKey{IdentityKind::kEmail, "ada@example.org"},
                                          IdentityKey{IdentityKind::kPhone, "+33612345678"}));
}

TEST(IdentityTest, EachKindOfKeyFindsItsOwner) {
  struct Case {
    Lead captured;
    IdentityKind by;
  };
  for (const Case& c : {Case{Person({{"crm", "7"}}, {}, {}), IdentityKind::kExternalId},
                        Case{Person({}, {"ada@example.org"}, {}), IdentityKind::kEmail},
                        Case{Person({}, {}, {"+33612345678"}), IdentityKind::kPhone}}) {
    Directory directory;
    directory.Add(Person({{"crm", "7"}}, {"ada@example.org"}, {"+33612345678"}));
    absl::StatusOr<CapturedLead> result = directory.Capture(c.captured);
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->outcome, CaptureOutcome::kMatched);
    EXPECT_EQ(result->matched_by, c.by);
    EXPECT_EQ(result->lead.id.value, Uuid(1));
    EXPECT_THAT(result->claims, IsEmpty());
    EXPECT_THAT(result->conflicts, IsEmpty());
  }
}

TEST(IdentityTest, TheHighestKeyThatMatchesWinsAndTheOthersAreConflicts) {
  Directory directory;
  directory.Add(Person({{"crm", "7"}}, {}, {}, 1));
  directory.Add(Person({}, {"ada@example.org"}, {}, 2));
  directory.Add(Person({}, {}, {"+33612345678"}, 3));
  absl::StatusOr<CapturedLead> result =
      directory.Capture(Person({{"crm", "7"}}, {"ada@example.org"}, {"+33612345678"}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->lead.id.value, Uuid(1));
  EXPECT_EQ(result->matched_by, IdentityKind::kExternalId);
  EXPECT_THAT(
      result->conflicts,
      ElementsAre(IdentityConflict{IdentityKind::kEmail, "ada@example.org", LeadId(Uuid(2))},
                  IdentityConflict{IdentityKind::kPhone, "+33612345678", LeadId(Uuid(3))}));
  // They stay plain attributes, and the phone is known to be shared from now on.
  EXPECT_EQ(result->lead.person.emails.size(), 1u);
  EXPECT_EQ(result->lead.person.phones.size(), 1u);
  EXPECT_THAT(result->claims, ElementsAre(IdentityKey{IdentityKind::kPhone, "+33612345678#"}));
}

TEST(IdentityTest, AnotherIdOfTheSameSystemContradictsAnEmail) {
  Directory directory;
  directory.Add(Person({{"crm", "7"}}, {"info@example.org"}, {}, 1));
  absl::StatusOr<CapturedLead> result =
      directory.Capture(Person({{"crm", "8"}}, {"info@example.org"}, {}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->outcome, CaptureOutcome::kCreated);
  EXPECT_THAT(result->conflicts, ElementsAre(IdentityConflict{
                                     IdentityKind::kEmail, "info@example.org", LeadId(Uuid(1))}));
  EXPECT_THAT(result->claims, ElementsAre(IdentityKey{IdentityKind::kExternalId, "crm:8"}));
}

TEST(IdentityTest, OneCommonIdOfASystemIsNoContradiction) {
  Lead known = Person({{"crm", "7"}, {"crm", "8"}}, {"ada@example.org"}, {}, 1);
  std::vector<IdentityFinding> findings = {{{IdentityKind::kExternalId, "crm:8"}},
                                           {{IdentityKind::kExternalId, "crm:9"}},
                                           {{IdentityKind::kEmail, "ada@example.org"}, &known}};
  EXPECT_EQ(MatchIdentities(findings).lead, &known);
  findings.erase(findings.begin());
  EXPECT_EQ(MatchIdentities(findings).lead, nullptr);
}

TEST(IdentityTest, AnIdOfAnotherSystemContradictsNothing) {
  Directory directory;
  directory.Add(Person({{"crm", "7"}}, {"ada@example.org"}, {}, 1));
  absl::StatusOr<CapturedLead> result =
      directory.Capture(Person({{"shop", "8"}}, {"ada@example.org"}, {}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->matched_by, IdentityKind::kEmail);
  EXPECT_THAT(result->lead.external_ids,
              ElementsAre(ExternalId{"crm", "7"}, ExternalId{"shop", "8"}));
  EXPECT_THAT(result->claims, ElementsAre(IdentityKey{IdentityKind::kExternalId, "shop:8"}));
}

TEST(IdentityTest, AnotherEmailContradictsAPhone) {
  Directory directory;
  directory.Add(Person({}, {"ada@example.org"}, {"+33612345678"}, 1));
  absl::StatusOr<CapturedLead> result =
      directory.Capture(Person({}, {"bob@example.org"}, {"+33612345678"}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->outcome, CaptureOutcome::kCreated);
  EXPECT_THAT(result->conflicts,
              ElementsAre(IdentityConflict{IdentityKind::kPhone, "+33612345678", LeadId(Uuid(1))}));
}

TEST(IdentityTest, AnotherIdContradictsAPhoneEvenWithoutEmails) {
  Directory directory;
  directory.Add(Person({{"crm", "7"}}, {}, {"+33612345678"}, 1));
  EXPECT_EQ(directory.Capture(Person({{"crm", "8"}}, {}, {"+33612345678"}))->outcome,
            CaptureOutcome::kCreated);
}

TEST(IdentityTest, APhoneMatchesWhenEitherSideHasNoEmail) {
  Directory without;
  without.Add(Person({}, {}, {"+33612345678"}, 1));
  EXPECT_EQ(without.Capture(Person({}, {"bob@example.org"}, {"+33612345678"}))->matched_by,
            IdentityKind::kPhone);
  Directory with;
  with.Add(Person({}, {"ada@example.org"}, {"+33612345678"}, 1));
  EXPECT_EQ(with.Capture(Person({}, {}, {"+33612345678"}))->matched_by, IdentityKind::kPhone);
}

TEST(IdentityTest, OneCommonEmailAmongSeveralIsNoContradiction) {
  // The address belongs to lead 1, which the captured id contradicts. Lead 2 carries it as a plain
  // attribute: agreement enough for its phone to decide.
  Directory directory;
  directory.Add(Person({{"crm", "1"}}, {"team@example.org"}, {}, 1));
  directory.Add(
      Person({{"erp", "2"}}, {"ada@example.org", "team@example.org"}, {"+33612345678"}, 2));
  Lead captured = Person({{"crm", "9"}}, {"team@example.org"}, {"+33612345678"});
  absl::StatusOr<CapturedLead> result = directory.Capture(captured);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->lead.id.value, Uuid(2));
  EXPECT_EQ(result->matched_by, IdentityKind::kPhone);

  captured.person.emails[0].address = "other@example.org";
  EXPECT_EQ(directory.Capture(captured)->outcome, CaptureOutcome::kCreated);
}

TEST(IdentityTest, AContradictedEmailGivesWayToTheNextOne) {
  Directory directory;
  directory.Add(Person({{"crm", "7"}}, {"shared@example.org"}, {}, 1));
  directory.Add(Person({}, {"ada@example.org"}, {}, 2));
  absl::StatusOr<CapturedLead> result =
      directory.Capture(Person({{"crm", "8"}}, {"shared@example.org", "ada@example.org"}, {}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->lead.id.value, Uuid(2));
  EXPECT_EQ(result->matched_by, IdentityKind::kEmail);
  EXPECT_THAT(result->lead.external_ids, ElementsAre(ExternalId{"crm", "8"}));
}

TEST(IdentityTest, APhoneSharedBySeveralIsNeverAKey) {
  Directory directory;
  directory.Add(Person({}, {"ada@example.org"}, {"+33612345678"}, 1));
  // Before anybody else uses it, the phone finds its owner.
  EXPECT_EQ(directory.Capture(Person({}, {}, {"+33612345678"}))->outcome, CaptureOutcome::kMatched);

  absl::StatusOr<CapturedLead> second =
      directory.Capture(Person({}, {"bob@example.org"}, {"+33612345678"}), 2);
  ASSERT_TRUE(second.ok());
  EXPECT_THAT(second->claims,
              UnorderedElementsAre(IdentityKey{IdentityKind::kEmail, "bob@example.org"},
                                   IdentityKey{IdentityKind::kPhone, "+33612345678#"}));
  directory.Keep(*second);

  absl::StatusOr<CapturedLead> third = directory.Capture(Person({}, {}, {"+33612345678"}), 3);
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(third->outcome, CaptureOutcome::kCreated);
  EXPECT_THAT(third->conflicts,
              ElementsAre(IdentityConflict{IdentityKind::kPhone, "+33612345678", LeadId(Uuid(1))}));
  EXPECT_THAT(third->claims, IsEmpty());
}

TEST(IdentityTest, LookupsAskForTheMarkOfEveryPhone) {
  EXPECT_THAT(
      LookupKeys(Person({{"crm", "7"}}, {"a@example.org"}, {"+1", "+2"})),
      ElementsAre(IdentityKey{IdentityKind::kExternalId, "crm:7"},
                  IdentityKey{IdentityKind::kEmail, "a@example.org"},
                  IdentityKey{IdentityKind::kPhone, "+1"}, IdentityKey{IdentityKind::kPhone, "+2"},
                  IdentityKey{IdentityKind::kPhone, "+1#"},
                  IdentityKey{IdentityKind::kPhone, "+2#"}));
}

TEST(IdentityTest, KeysAreListedOnceAndPhonesWithoutNumberAreNone) {
  Lead lead = Person({{"crm", "7"}, {"crm", "7"}}, {"a@example.org", "a@example.org"}, {"", "+1"});
  EXPECT_THAT(IdentitiesOf(lead), ElementsAre(IdentityKey{IdentityKind::kExternalId, "crm:7"},
                                              IdentityKey{IdentityKind::kEmail, "a@example.org"},
                                              IdentityKey{IdentityKind::kPhone, "+1"}));
}

TEST(IdentityTest, ACaptureNeverMovesAnyone) {
  for (Stage stage : {Stage::kLead, Stage::kProspect, Stage::kOpportunity, Stage::kCustomer,
                      Stage::kDisqualified}) {
    Directory directory;
    Lead known = Person({}, {"ada@example.org"}, {}, 1);
    known.stage = stage;
    known.milestones.stage_time = At(2025, 1, 1);
    known.disqualify_reason = stage == Stage::kDisqualified ? "moved away" : "";
    directory.Add(known);
    absl::StatusOr<CapturedLead> result = directory.Capture(Person({}, {"ada@example.org"}, {}));
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->lead, known) << NameOf(stage);
  }
}

TEST(IdentityTest, ACaptureFromTheFutureIsRefused) {
  absl::StatusOr<CapturedLead> result = CaptureLead(
      Person({}, {"a@example.org"}, {}), {},
      {.new_id = LeadId(Uuid(1)), .now = kNow, .occur_time = {kNow.micros + kMicrosPerDay}});
  EXPECT_THAT(FieldsIn(result.status()), ElementsAre("occur_time"));
}

TEST(IdentityTest, TheMarketFollowsTheOrganizationUnlessItIsSaid) {
  Directory directory;
  Lead captured = Person({}, {"a@example.org"}, {});
  captured.market = Market::kUnspecified;
  EXPECT_EQ(directory.Capture(captured)->lead.market, Market::kB2c);
  captured.organization.domain = "example.org";
  EXPECT_EQ(directory.Capture(captured)->lead.market, Market::kB2b);
  captured.organization = {.display_name = "Example"};
  EXPECT_EQ(directory.Capture(captured)->lead.market, Market::kB2b);
  captured.market = Market::kB2c;
  EXPECT_EQ(directory.Capture(captured)->lead.market, Market::kB2c);
}

TEST(IdentityTest, OutputOnlyFieldsOfACaptureAreNotTakenOver) {
  Directory directory;
  Lead captured = Person({}, {"a@example.org"}, {});
  captured.score = 99;
  captured.owner = "users/x";
  captured.consents = {{"EMAIL/MARKETING", "GRANTED"}};
  captured.stage = Stage::kCustomer;
  captured.counters.won_opportunities = 3;
  captured.milestones.customer_time = kNow;
  captured.revision = 5;
  Lead made = directory.Capture(captured)->lead;
  EXPECT_EQ(made.score, 0);
  EXPECT_EQ(made.owner, "");
  EXPECT_TRUE(made.consents.empty());
  EXPECT_EQ(made.stage, Stage::kLead);
  EXPECT_EQ(made.counters, Counters{});
  EXPECT_FALSE(made.milestones.customer_time.has_value());
  EXPECT_EQ(made.revision, 0);
}

// ---- merging ----------------------------------------------------------------------------------

TEST(MergeTest, EmptyFieldsAreFilledAndKnownOnesKept) {
  Lead known = Person({}, {"ada@example.org"}, {});
  known.person.job_title = "Director";
  known.maturity = Maturity::kDiscovery;
  known.estimated_value = Money{"EUR", 100, 0};
  known.labels = {{"tier", "gold"}};
  known.acquisition = {.channel = Channel::kSeo, .source = "organic"};
  Lead captured = Person({}, {"ada@work.example"}, {"+1"});
  captured.person.job_title = "Head";
  captured.person.country = "FR";
  captured.maturity = Maturity::kDecision;
  captured.estimated_value = Money{"EUR", 999, 0};
  captured.labels = {{"tier", "silver"}, {"region", "south"}};
  captured.acquisition = {.channel = Channel::kEvent, .source = "fair"};
  captured.needs = {"crm"};
  captured.organization = {.display_name = "Example", .headcount = 12};

  Lead merged = MergeCapture(known, captured);
  EXPECT_EQ(merged.person.job_title, "Director");
  EXPECT_EQ(merged.person.country, "FR");
  EXPECT_EQ(merged.maturity, Maturity::kDiscovery);
  EXPECT_EQ(merged.estimated_value->units, 100);
  EXPECT_EQ(merged.labels.at("tier"), "gold");
  EXPECT_EQ(merged.labels.at("region"), "south");
  EXPECT_EQ(merged.acquisition, known.acquisition);
  EXPECT_THAT(merged.needs, ElementsAre("crm"));
  EXPECT_EQ(merged.organization.headcount, 12);
  ASSERT_EQ(merged.person.emails.size(), 2u);
  EXPECT_EQ(merged.person.emails[0].address, "ada@example.org");
  EXPECT_EQ(merged.person.phones.size(), 1u);
}

TEST(MergeTest, MergingTheSameCaptureAgainChangesNothing) {
  Lead captured = Person({{"crm", "7"}}, {"ada@example.org"}, {"+1"});
  captured.person.given_name = "Ada";
  captured.person.family_name = "Lovelace";
  captured.organization.display_name = "Analytical";
  captured.needs = {"engine"};
  Lead once = MergeCapture(Lead{}, captured);
  EXPECT_EQ(MergeCapture(once, captured), once);
}

TEST(MergeTest, ADisplayNameIsComposedAndFollowsItsParts) {
  Lead captured;
  captured.person.given_name = "Ada";
  Lead lead = MergeCapture(Lead{}, captured);
  EXPECT_EQ(lead.person.display_name, "Ada");
  captured.person.family_name = "Lovelace";
  lead = MergeCapture(lead, captured);
  EXPECT_EQ(lead.person.display_name, "Ada Lovelace");
}

TEST(MergeTest, AWrittenDisplayNameStays) {
  Lead known;
  known.person.display_name = "Countess Ada";
  Lead captured;
  captured.person.display_name = "countess ada";
  captured.person.given_name = "Ada";
  Lead lead = MergeCapture(known, captured);
  EXPECT_EQ(lead.person.display_name, "Countess Ada");
  EXPECT_EQ(lead.person.given_name, "Ada");
}

TEST(MergeTest, HalvesOfTwoNamesAreNotMixed) {
  Lead known;
  known.person.given_name = "Ada";
  known.person.display_name = "Ada";
  Lead captured;
  captured.person.given_name = "Bob";
  captured.person.family_name = "Smith";
  Lead lead = MergeCapture(known, captured);
  EXPECT_EQ(lead.person.family_name, "");
  EXPECT_EQ(lead.person.display_name, "Ada");
}

TEST(MergeTest, TwoCompaniesAreNotMixed) {
  Lead known;
  known.organization = {.display_name = "Example"};
  Lead captured;
  captured.organization = {.display_name = "Other", .domain = "other.example", .headcount = 9};
  EXPECT_EQ(MergeCapture(known, captured).organization, known.organization);
  captured.organization.display_name = "EXAMPLE";
  EXPECT_EQ(MergeCapture(known, captured).organization.domain, "other.example");
  EXPECT_EQ(MergeCapture(known, captured).organization.display_name, "Example");
}

TEST(MergeTest, AnAddressIsFilledAsAWholeOrNotAtAll) {
  Lead known;
  Lead captured;
  captured.person.postal_address = {.street = "1 rue A", .locality = "Lyon", .country = "FR"};
  EXPECT_EQ(MergeCapture(known, captured).person.postal_address.locality, "Lyon");
  known.person.postal_address.country = "DE";
  EXPECT_EQ(MergeCapture(known, captured).person.postal_address.locality, "");
}

TEST(MergeTest, ListsStopAtTheirLimitsAndWhatWasDroppedIsNotClaimed) {
  Lead known = Person({}, {}, {"+1"}, 1);
  for (size_t i = 0; i < kMaxEmails - 1; ++i) {
    known.person.emails.push_back({Concat("a", i, "@example.org"), ""});
  }
  Directory directory;
  directory.Add(known);
  absl::StatusOr<CapturedLead> result = directory.Capture(
      Person({}, {"a0@example.org", "fits@example.org", "dropped@example.org"}, {"+1"}));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->lead.person.emails.size(), kMaxEmails);
  EXPECT_THAT(result->claims, ElementsAre(IdentityKey{IdentityKind::kEmail, "fits@example.org"}));
}

TEST(MergeTest, LabelsAndNeedsStopAtTheirLimits) {
  Lead known;
  Lead captured;
  for (size_t i = 0; i < 100; ++i) {
    known.labels.size() < kMaxLabels - 1 ? (void)known.labels.emplace(Concat("k", i), "v")
                                         : (void)0;
    captured.labels.emplace(Concat("z", i), "v");
    captured.needs.push_back(Concat("need", i));
  }
  Lead merged = MergeCapture(known, captured);
  EXPECT_EQ(merged.labels.size(), kMaxLabels);
  EXPECT_EQ(merged.needs.size(), kMaxNeeds);
}

TEST(MergeTest, ChangedIdentitiesAreWhatCameAndWhatWent) {
  Lead before = Person({{"crm", "7"}}, {"a@example.org"}, {"+1"});
  Lead after = Person({{"crm", "7"}}, {"b@example.org"}, {});
  IdentityChanges changes = ChangedIdentities(before, after);
  EXPECT_THAT(changes.added, ElementsAre(IdentityKey{IdentityKind::kEmail, "b@example.org"}));
  EXPECT_THAT(changes.removed, ElementsAre(IdentityKey{IdentityKind::kEmail, "a@example.org"},
                                           IdentityKey{IdentityKind::kPhone, "+1"}));
}

// Random captures over few values, so that they collide in every way. Whatever happens: one owner
// per key, owners carry what they own, a match is by a key that the lead owns, and the same capture
// again (while no key of it is shared) finds somebody instead of making one more.
TEST(IdentityPropertyTest, OwnersStayUniqueAndARepeatedCaptureFindsItsLead) {
  std::mt19937 random(20260301);
  auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 200; ++round) {
    Directory directory;
    for (int step = 0; step < 30; ++step) {
      Lead captured = Person({}, {}, {});
      if (pick(2) == 0)
        captured.external_ids.push_back({pick(2) ? "crm" : "shop", Concat(pick(4))});
      for (int i = pick(3); i > 0; --i) {
        captured.person.emails.push_back({Concat("p", pick(5), "@example.org"), ""});
      }
      if (pick(2) == 0) captured.person.phones.push_back({Concat("+3360000000", pick(4)), "", ""});
      if (IdentitiesOf(captured).empty()) continue;
      absl::StatusOr<CapturedLead> result = directory.Capture(captured, 100 + step);
      ASSERT_TRUE(result.ok());
      std::vector<IdentityKey> carried = IdentitiesOf(result->lead);
      for (const IdentityKey& key : result->claims) {
        if (key.value.back() == '#') continue;
        EXPECT_THAT(carried, ::testing::Contains(key));
        EXPECT_EQ(directory.Owner(key), nullptr);
      }
      for (const IdentityConflict& conflict : result->conflicts) {
        EXPECT_NE(conflict.lead, result->lead.id);
        EXPECT_EQ(directory.Owner({conflict.kind, conflict.value})->id, conflict.lead);
      }
      bool matched = result->outcome == CaptureOutcome::kMatched;
      EXPECT_EQ(matched, result->matched_by != IdentityKind::kUnspecified);
      bool claimed_own = std::any_of(result->claims.begin(), result->claims.end(),
                                     [](const IdentityKey& k) { return k.value.back() != '#'; });
      directory.Keep(*result);
      absl::StatusOr<CapturedLead> again = directory.Capture(captured, 500 + step);
      ASSERT_TRUE(again.ok());
      if (matched || claimed_own) {
        EXPECT_EQ(again->outcome, CaptureOutcome::kMatched);
        EXPECT_EQ(again->lead.id, result->lead.id);
        EXPECT_EQ(again->lead, result->lead) << "the same facts again change nothing";
      }
      for (const IdentityKey& key : again->claims) EXPECT_NE(key.value.back(), '#');
    }
  }
}

}  // namespace
}  // namespace relais::domain
