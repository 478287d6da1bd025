// The field tables: every entity is written, compared and replayed through them alone.

#include "server/domain/fields.h"

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/domain/directory.h"
#include "server/domain/event.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::IsEmpty;

std::mt19937& Random() {
  static auto* const kRandom = new std::mt19937(20260303);
  return *kRandom;
}
int64_t Pick(int64_t n) { return static_cast<int64_t>(Random()() % static_cast<uint64_t>(n)); }

std::string RandomText() {
  static const char* const kTexts[] = {
      "a", "Ada Lovelace", "x=\"1\";,:",         "é\xF0\x9F\x9A\x80", "  ",
      "0", "line\nline",   "'; DROP TABLE leads"};
  return Concat(kTexts[Pick(8)], Pick(3) == 0 ? Concat(Pick(1'000'000)) : "");
}

// A present value of the field's type, in the one spelling that the table itself gives back.
Value RandomValue(const FieldSpec& spec) {
  switch (spec.type) {
    case FieldType::kBool:
      return Value(Pick(2) == 1);
    case FieldType::kInt:
      return Value(Pick(2'000'001) - 1'000'000);
    case FieldType::kText:
    case FieldType::kBlob:
      return Value(RandomText());
    case FieldType::kTime:
      return Value(Timestamp{(Pick(2'000'001) - 1'000'000) * 1'234'567'891});
    case FieldType::kEnum:
      return Value(1 + Pick(static_cast<int64_t>(spec.enumeration->names.size()) - 1));
    case FieldType::kMoney:
      return Value(Money{Pick(2) ? "EUR" : "USD", Pick(1'000'000),
                         static_cast<int32_t>(Pick(kNanosPerUnit))});
    case FieldType::kTextList: {
      ValueList list;
      for (int64_t n = 1 + Pick(4); n > 0; --n) list.emplace_back(RandomText());
      return Value(std::move(list));
    }
    case FieldType::kTextMap: {
      ValueMap map;
      for (int64_t n = 1 + Pick(4); n > 0; --n) map[RandomText()] = Value(RandomText());
      return Value(std::move(map));
    }
    case FieldType::kRecordList: {
      ValueList list;
      for (int64_t n = 1 + Pick(4); n > 0; --n) {
        ValueMap record;
        for (std::string_view member : spec.members) {
          if (Pick(3) != 0) record[std::string(member)] = Value(RandomText());
        }
        list.emplace_back(std::move(record));
      }
      return Value(std::move(list));
    }
  }
  return Value();
}

// Every field present with a chance of `percent`, else as in a new entity.
template <class E>
E RandomEntity(int64_t percent) {
  E entity;
  for (const Field<E>& field : FieldsOf<E>()) {
    if (Pick(100) < percent) field.set(entity, RandomValue(field.spec));
  }
  return entity;
}

// What the log can tell of an entity: fields without history as in a new one.
template <class E>
E Told(E entity) {
  for (const Field<E>& field : FieldsOf<E>()) {
    if (!field.spec.history) field.set(entity, field.get(E{}));
  }
  return entity;
}

template <class E>
class FieldTableTest : public ::testing::Test {};

using Entities = ::testing::Types<Lead, Opportunity, Touchpoint, Consent, Assessment, User, Team,
                                  Import, Operation>;

class EntityNames {
 public:
  template <class E>
  static std::string GetName(int) {
    if (std::is_same_v<E, Lead>) return "Lead";
    if (std::is_same_v<E, Opportunity>) return "Opportunity";
    if (std::is_same_v<E, Touchpoint>) return "Touchpoint";
    if (std::is_same_v<E, Consent>) return "Consent";
    if (std::is_same_v<E, Assessment>) return "Assessment";
    if (std::is_same_v<E, User>) return "User";
    if (std::is_same_v<E, Team>) return "Team";
    if (std::is_same_v<E, Import>) return "Import";
    return "Operation";
  }
};

TYPED_TEST_SUITE(FieldTableTest, Entities, EntityNames);

TYPED_TEST(FieldTableTest, ColumnsAndComparisonsAgreeWithTheValues) {
  using E = TypeParam;
  for (int i = 0; i < 20; ++i) {
    const E a = RandomEntity<E>(50), b = RandomEntity<E>(50);
    for (const Field<E>& field : FieldsOf<E>()) {
      SCOPED_TRACE(std::string(field.spec.path));
      EXPECT_EQ(field.same(a, b), field.get(a) == field.get(b));
      EXPECT_TRUE(field.same(a, a));
      const bool json = field.spec.type == FieldType::kTextList ||
                        field.spec.type == FieldType::kTextMap ||
                        field.spec.type == FieldType::kRecordList;
      ASSERT_EQ(field.append == nullptr, json);
      ASSERT_EQ(field.take == nullptr, json);
      if (json) continue;
      std::vector<Scalar> row;
      field.append(a, row);
      ASSERT_EQ(row.size(), field.spec.type == FieldType::kMoney ? 3u : 1u);
      EXPECT_EQ(std::holds_alternative<std::monostate>(row[0]), field.get(a).absent());
      E taken = b;
      EXPECT_EQ(field.take(row.data(), taken), kAllTaken);
      EXPECT_EQ(field.get(taken), field.get(a));
      const bool text = field.spec.type == FieldType::kText || field.spec.type == FieldType::kBlob;
      Scalar wrong = text ? Scalar(int64_t{1}) : Scalar(std::string("1"));
      EXPECT_EQ(field.take(&wrong, taken), 0);
    }
  }
}

TYPED_TEST(FieldTableTest, EveryFieldGivesBackWhatWasSetAndTouchesNoOther) {
  using E = TypeParam;
  for (const Field<E>& field : FieldsOf<E>()) {
    SCOPED_TRACE(std::string(field.spec.path));
    for (int i = 0; i < 20; ++i) {
      E entity = RandomEntity<E>(50);
      E before = entity;
      Value value = RandomValue(field.spec);
      field.set(entity, value);
      EXPECT_EQ(field.get(entity), value);
      for (const Field<E>& other : FieldsOf<E>()) {
        if (other.spec.path != field.spec.path) {
          EXPECT_EQ(other.get(entity), other.get(before)) << other.spec.path;
        }
      }
      // And back: nothing of the value stays behind.
      field.set(entity, field.get(before));
      EXPECT_EQ(entity, before);
    }
  }
}

TYPED_TEST(FieldTableTest, AnAbsentValueIsWhatANewEntityHas) {
  using E = TypeParam;
  for (const Field<E>& field : FieldsOf<E>()) {
    E entity;
    field.set(entity, RandomValue(field.spec));
    field.set(entity, Value());
    EXPECT_EQ(entity, E{}) << field.spec.path;
  }
}

TYPED_TEST(FieldTableTest, DifferencesTellExactlyTheFieldsWithHistoryThatDiffer) {
  using E = TypeParam;
  for (int i = 0; i < 300; ++i) {
    E before = RandomEntity<E>(Pick(101));
    E after = Pick(2) ? RandomEntity<E>(Pick(101)) : before;
    std::vector<FieldChange> changes = Diff(before, after);
    auto change = changes.begin();
    for (const Field<E>& field : FieldsOf<E>()) {
      if (!field.spec.history || field.get(before) == field.get(after)) continue;
      ASSERT_NE(change, changes.end()) << field.spec.path;
      EXPECT_EQ(change->path, field.spec.path);
      EXPECT_EQ(change->before, field.get(before));
      EXPECT_EQ(change->after, field.get(after));
      EXPECT_EQ(change->personal, field.spec.personal);
      ++change;
    }
    EXPECT_EQ(change, changes.end());
    EXPECT_THAT(Diff(after, after), IsEmpty());
  }
}

TYPED_TEST(FieldTableTest, DifferencesAppliedGiveTheOtherStateForwardAndBack) {
  using E = TypeParam;
  for (int i = 0; i < 300; ++i) {
    E before = Told(RandomEntity<E>(Pick(101)));
    E after = Told(RandomEntity<E>(Pick(101)));
    std::vector<FieldChange> changes = Diff(before, after);
    E forward = before;
    Apply<E>(changes, forward);
    EXPECT_EQ(forward, after);
    for (FieldChange& change : changes) std::swap(change.before, change.after);
    Apply<E>(changes, forward);
    EXPECT_EQ(forward, before);
  }
}

TYPED_TEST(FieldTableTest, PathsAreUniqueAndCanBeColumns) {
  using E = TypeParam;
  std::set<std::string> columns;
  for (const Field<E>& field : FieldsOf<E>()) {
    std::string column(field.spec.path);
    std::replace(column.begin(), column.end(), '.', '_');
    EXPECT_TRUE(columns.insert(column).second) << column;
    EXPECT_TRUE(std::all_of(column.begin(), column.end(), [](char c) {
      return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    })) << column;
    EXPECT_EQ(field.spec.enumeration != nullptr, field.spec.type == FieldType::kEnum) << column;
    EXPECT_EQ(!field.spec.members.empty(), field.spec.type == FieldType::kRecordList) << column;
    EXPECT_EQ(FindField<E>(field.spec.path), &field);
  }
  EXPECT_EQ(FindField<E>("no_such_field"), nullptr);
}

// A member that a table forgets is neither stored nor seen, so a wholly filled entity is written
// out here by hand and must come through its table.
template <class E>
E ThroughTable(const E& entity) {
  E copy;
  for (const Field<E>& field : FieldsOf<E>()) field.set(copy, field.get(entity));
  return copy;
}

TEST(FieldCoverageTest, NoMemberOfALeadIsForgotten) {
  Timestamp t = At(2026, 1, 2);
  Lead lead;
  lead.stage = Stage::kCustomer;
  lead.market = Market::kB2c;
  lead.person = {.given_name = "a",
                 .family_name = "b",
                 .display_name = "c",
                 .emails = {{"d", "e"}, {"f", ""}},
                 .phones = {{"g", "h", "i"}},
                 .job_title = "j",
                 .language = "k",
                 .country = "l",
                 .time_zone = "m",
                 .postal_address = {"n", "o", "p", "q", "r"},
                 .birth_date = "s"};
  lead.organization = {"t", "u", "v", 0, Money{"EUR", 0, 0}};
  lead.acquisition = {Channel::kChat, "a", "b", "c", "d", "e", "f", "g", "h", "i", t};
  lead.needs = {"j", "k"};
  lead.maturity = Maturity::kDecision;
  lead.estimated_value = Money{"USD", -1, -5};
  lead.score = 1;
  lead.fit_score = 2;
  lead.engagement_score = 3;
  lead.intent_score = 4;
  lead.grade = "A1";
  lead.score_model = "l";
  lead.score_state = "m";
  lead.next_score_time = t;
  lead.owner = "n";
  lead.consents = {{"o", "p"}};
  lead.consent_times = {{"q", "r"}};
  lead.labels = {{"s", "t"}};
  lead.external_ids = {{"u", "v"}};
  lead.milestones = {t, t, t, t, t, t, t, t, t, t, t, Timestamp{0}, 5};
  lead.counters = {1, 2, 3, 4};
  lead.disqualify_reason = "w";
  lead.merged_into = "leads/x";
  lead.merged_leads = {"leads/y", "leads/z"};
  lead.create_time = t;
  lead.update_time = t;
  EXPECT_EQ(ThroughTable(lead), lead);
}

TEST(FieldCoverageTest, NoMemberOfAnOpportunityIsForgotten) {
  Timestamp t = At(2026, 1, 2);
  Opportunity o;
  o.lead_name = "a";
  o.display_name = "b";
  o.state = OpportunityState::kLost;
  o.pipeline = "c";
  o.stage = "d";
  o.probability_percent = 5;
  o.amount = Money{"EUR", 1, 0};
  o.line_items = {{"a", "b", "c", "d"}};
  o.expected_close_time = o.requested_delivery_time = o.promised_delivery_time = t;
  o.competitors = {"e"};
  o.contacts = {{"f", "g"}};
  o.objections = {"h"};
  o.next_step = "i";
  o.owner = "j";
  o.intention = "k";
  o.close_reason = "l";
  o.winning_competitor = "m";
  o.external_ids = {{"n", "o"}};
  o.labels = {{"p", "q"}};
  o.open_time = o.stage_time = t;
  o.close_time = t;
  o.stage_seconds = {{"r", "1"}};
  o.reopen_count = 2;
  o.create_time = o.update_time = t;
  EXPECT_EQ(ThroughTable(o), o);
}

TEST(FieldCoverageTest, NoMemberOfALeadsHistoryIsForgotten) {
  Timestamp t = At(2026, 1, 2);
  Touchpoint touchpoint;
  touchpoint.kind = TouchpointKind::kCustom;
  touchpoint.channel = Channel::kEvent;
  touchpoint.occur_time = touchpoint.create_time = t;
  touchpoint.source = "a";
  touchpoint.external_id = "b";
  touchpoint.campaign = "c";
  touchpoint.topic = "d";
  touchpoint.url = "e";
  touchpoint.body = "f";
  touchpoint.value = Money{"EUR", 1, 0};
  touchpoint.duration_seconds = 0;
  touchpoint.properties = {{"g", "h"}};
  touchpoint.actor = "i";
  EXPECT_EQ(ThroughTable(touchpoint), touchpoint);

  Consent consent;
  consent.channel = ConsentChannel::kAny;
  consent.purpose = ConsentPurpose::kSharing;
  consent.state = ConsentState::kWithdrawn;
  consent.legal_basis = LegalBasis::kContract;
  consent.wording_version = "a";
  consent.source = "b";
  consent.proof = "c";
  consent.occur_time = consent.create_time = t;
  consent.actor = "d";
  EXPECT_EQ(ThroughTable(consent), consent);

  Assessment assessment;
  CriterionAnswer answer{.criterion = "a",
                         .state = "b",
                         .budget_minimum = "c",
                         .budget_maximum = "d",
                         .authority_role = "e",
                         .need = "f",
                         .need_severity = "g",
                         .target_time = "h",
                         .evidence = "i",
                         .confidence_percent = "j",
                         .expire_time = "k"};
  assessment.answers = {answer, CriterionAnswer{.criterion = "l"}};
  assessment.source = AssessmentSource::kModel;
  assessment.author = "m";
  assessment.occur_time = assessment.create_time = t;
  assessment.policy = "n";
  EXPECT_EQ(ThroughTable(assessment), assessment);
}

TEST(EnumNamesTest, NumbersAndNamesLeadToEachOther) {
  const EnumNames& stages = EnumTraits<Stage>::names();
  for (size_t i = 1; i < stages.names.size(); ++i) {
    EXPECT_EQ(stages.Number(stages.names[i]), static_cast<int64_t>(i));
    EXPECT_EQ(stages.Name(static_cast<int64_t>(i)), stages.names[i]);
  }
  EXPECT_EQ(stages.Number("UNSPECIFIED"), std::nullopt);
  EXPECT_EQ(stages.Number("STAGE_LEAD"), std::nullopt);
  EXPECT_EQ(stages.Name(-1), "UNRECOGNIZED");
  EXPECT_EQ(stages.Name(99), "UNRECOGNIZED");
}

TEST(EventTest, ChangesOfAPathThatIsGoneAreIgnored) {
  Lead lead;
  Apply<Lead>({{"shoe_size", Value(), Value(int64_t{42}), false}}, lead);
  EXPECT_EQ(lead, Lead{});
}

}  // namespace
}  // namespace relais::domain
