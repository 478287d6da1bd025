// Entities filled at random, to messages and back: nothing is lost, renamed or confused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/type/money.pb.h"
#include "server/convert/encode.h"
#include "server/convert/update_mask.h"
#include "server/domain/criteria.h"
#include "server/domain/faults.h"
#include "tests/convert/calls.h"

namespace relais::convert {
namespace {

using domain::FieldType;
using domain::Value;
using domain::ValueList;
using domain::ValueMap;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kRounds = 300;

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  int64_t Below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }
  bool Maybe() { return Below(3) != 0; }
  std::string Word() {
    static const std::vector<std::string> kWords = {
        "a",     "Ada",    "caf\xc3\xa9", "\xe6\x9d\xb1\xe4\xba\xac", "x y",
        "\"q\"", "0",      "-1",          "\xf0\x9f\x98\x80 smile",   "=1+1",
        "it's",  "UNKNOWN"};
    return kWords[static_cast<size_t>(Below(static_cast<int64_t>(kWords.size())))];
  }
  std::string Uuid() {
    char text[40];
    std::snprintf(text, sizeof text, "0190a0b0-%04x-7%03x-8%03x-%012llx",
                  static_cast<unsigned>(Below(65536)), static_cast<unsigned>(Below(4096)),
                  static_cast<unsigned>(Below(4096)),
                  static_cast<unsigned long long>(Below(1LL << 48)));
    return text;
  }
  domain::Timestamp Time() {
    return {(Below(4'000'000'000) - 2'000'000'000) * 1'000'000 + Below(1'000'000)};
  }
  domain::Timestamp PastTime() {
    return {kNow.micros - Below(int64_t{40} * 365 * 86'400 * 1'000'000)};
  }
  domain::Money Money() {
    static const char* const kCurrencies[] = {"EUR", "USD", "JPY"};
    bool negative = Below(4) == 0;
    int64_t units = Below(1'000'000'000'000);
    auto nanos = static_cast<int32_t>(Below(1'000'000'000));
    return {kCurrencies[Below(3)], negative ? -units : units, negative ? -nanos : nanos};
  }

 private:
  std::mt19937_64 engine_;
};

// ---- Any entity, by its field table -----------------------------------------------------------

domain::CriterionAnswer AnyAnswer(Random& random, int index) {
  domain::Answer answer;
  answer.criterion = absl::StrCat("criterion_", index);
  answer.state = static_cast<domain::CriterionState>(1 + random.Below(3));
  if (random.Maybe()) {
    answer.budget_minimum = random.Money();
    if (random.Maybe()) {
      domain::Money maximum = *answer.budget_minimum;
      maximum.units += 1;
      if (maximum.units == 0) maximum.nanos = 0;
      answer.budget_maximum = std::move(maximum);
    }
  }
  answer.authority_role = static_cast<domain::AuthorityRole>(random.Below(6));
  if (random.Maybe()) answer.need = random.Word();
  answer.need_severity = static_cast<domain::NeedSeverity>(random.Below(5));
  if (random.Maybe()) answer.target_time = random.Time();
  if (random.Maybe()) answer.evidence = random.Word();
  if (random.Maybe()) answer.confidence_percent = random.Below(101);
  if (random.Maybe()) answer.expire_time = random.Time();
  return domain::FormatAnswer(answer);
}

Value AnyRecords(Random& random, const domain::FieldSpec& spec) {
  if (spec.path == "answers") {
    std::vector<domain::CriterionAnswer> answers;
    for (int64_t i = 0, n = 1 + random.Below(4); i < n; ++i) {
      answers.push_back(AnyAnswer(random, static_cast<int>(i)));
    }
    return domain::ToValue(answers);
  }
  ValueList list;
  for (int64_t i = 0, n = random.Below(4); i < n; ++i) {
    ValueMap map;
    for (std::string_view member : spec.members) {
      // Money, times and enums inside a record are text of forms of their own.
      std::string text =
          member == "unit_price"      ? domain::FormatMoney(random.Money())
          : member.ends_with("_time") ? absl::StrCat(random.Time().micros)
          : member == "day"
              ? std::string(domain::NameOf(static_cast<domain::Weekday>(1 + random.Below(7))))
              : random.Word();
      if (random.Maybe()) map.emplace(std::string(member), text);
    }
    list.emplace_back(std::move(map));
  }
  return list.empty() ? Value() : Value(std::move(list));
}

Value AnyValue(Random& random, const domain::FieldSpec& spec) {
  switch (spec.type) {
    case FieldType::kBool:
      return Value(random.Maybe());
    case FieldType::kInt:
      return Value(random.Below(2) ? random.Below(100) : random.Below(1LL << 31));
    case FieldType::kText:
      return Value(random.Word());
    case FieldType::kTime:
      return Value(random.Time());
    case FieldType::kEnum:
      return Value(random.Below(static_cast<int64_t>(spec.enumeration->names.size())));
    case FieldType::kMoney:
      return Value(random.Money());
    case FieldType::kTextList: {
      ValueList list;
      for (int64_t i = 0, n = random.Below(4); i < n; ++i) list.emplace_back(random.Word());
      return Value(std::move(list));
    }
    case FieldType::kTextMap: {
      ValueMap map;
      // Two maps hold numbers and times as text.
      bool numbers = spec.path == "stage_seconds" || spec.path == "consent_times";
      for (int64_t i = 0, n = random.Below(4); i < n; ++i) {
        map.emplace(absl::StrCat("key", i),
                    numbers ? absl::StrCat(random.Below(1LL << 40) - (1LL << 39)) : random.Word());
      }
      return Value(std::move(map));
    }
    case FieldType::kRecordList:
      return AnyRecords(random, spec);
    case FieldType::kBlob:
      return Value();
  }
  return Value();
}

template <class E>
E AnyEntity(Random& random) {
  E entity;
  entity.id.value = random.Uuid();
  for (const domain::Field<E>& field : domain::FieldsOf<E>()) {
    if (random.Maybe()) field.set(entity, AnyValue(random, field.spec));
  }
  return entity;
}

// ---- What a message says of a field -----------------------------------------------------------

Value TimeIn(const Message& m) {
  const auto& time = static_cast<const google::protobuf::Timestamp&>(m);
  return Value(domain::Timestamp{time.seconds() * 1'000'000 + time.nanos() / 1000});
}

domain::Money MoneyIn(const Message& m) {
  const auto& money = static_cast<const google::type::Money&>(m);
  return {money.currency_code(), money.units(), money.nanos()};
}

std::string Scalar(const Message& entry, const FieldDescriptor* field) {
  const auto* reflection = entry.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->GetString(entry, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection->GetInt64(entry, field));
    default:
      return absl::StrCat(TimeIn(reflection->GetMessage(entry, field)).if_time()->micros);
  }
}

domain::CriterionAnswer AnswerIn(const v1::CriterionAnswer& in) {
  domain::Answer answer;
  answer.criterion = in.criterion();
  answer.state = static_cast<domain::CriterionState>(in.state());
  if (in.budget().has_minimum()) answer.budget_minimum = MoneyIn(in.budget().minimum());
  if (in.budget().has_maximum()) answer.budget_maximum = MoneyIn(in.budget().maximum());
  answer.authority_role = static_cast<domain::AuthorityRole>(in.authority_role());
  answer.need = in.need();
  answer.need_severity = static_cast<domain::NeedSeverity>(in.need_severity());
  if (in.has_target_time()) answer.target_time = *TimeIn(in.target_time()).if_time();
  answer.evidence = in.evidence();
  if (in.has_confidence_percent()) answer.confidence_percent = in.confidence_percent();
  if (in.has_expire_time()) answer.expire_time = *TimeIn(in.expire_time()).if_time();
  return domain::FormatAnswer(answer);
}

Value RecordIn(const Message& record) {
  ValueMap map;
  const auto* type = record.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
      const auto day =
          static_cast<domain::Weekday>(record.GetReflection()->GetEnumValue(record, field));
      if (day != domain::Weekday::kUnspecified) {
        map.emplace(field->name(), Value(std::string(domain::NameOf(day))));
      }
    } else if (field->message_type() == google::protobuf::Timestamp::descriptor()) {
      if (record.GetReflection()->HasField(record, field)) {
        map.emplace(field->name(), Value(Scalar(record, field)));
      }
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (record.GetReflection()->HasField(record, field)) {
        map.emplace(
            field->name(),
            Value(domain::FormatMoney(MoneyIn(record.GetReflection()->GetMessage(record, field)))));
      }
    } else if (std::string text = record.GetReflection()->GetString(record, field); !text.empty()) {
      map.emplace(field->name(), Value(std::move(text)));
    }
  }
  return Value(std::move(map));
}

Value RepeatedIn(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  int size = reflection->FieldSize(message, field);
  if (size == 0) return Value();
  if (field->is_map()) {
    ValueMap map;
    for (int i = 0; i < size; ++i) {
      const Message& entry = reflection->GetRepeatedMessage(message, field, i);
      map.emplace(Scalar(entry, field->message_type()->map_key()),
                  Value(Scalar(entry, field->message_type()->map_value())));
    }
    return Value(std::move(map));
  }
  if (field->message_type() == v1::CriterionAnswer::descriptor()) {
    std::vector<domain::CriterionAnswer> answers;
    for (int i = 0; i < size; ++i) {
      answers.push_back(AnswerIn(static_cast<const v1::CriterionAnswer&>(
          reflection->GetRepeatedMessage(message, field, i))));
    }
    return domain::ToValue(answers);
  }
  ValueList list;
  for (int i = 0; i < size; ++i) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      list.emplace_back(reflection->GetRepeatedString(message, field, i));
    } else {
      list.push_back(RecordIn(reflection->GetRepeatedMessage(message, field, i)));
    }
  }
  return Value(std::move(list));
}

// Absent as the field tables mean it: an empty text, an unset message or optional, enum number 0.
Value SingleIn(const Message& message, const FieldDescriptor* field) {
  const auto* reflection = message.GetReflection();
  if (field->has_presence() && !reflection->HasField(message, field)) return Value();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return Value(reflection->GetBool(message, field));
    case FieldDescriptor::CPPTYPE_INT32:
      return Value(int64_t{reflection->GetInt32(message, field)});
    case FieldDescriptor::CPPTYPE_INT64:
      return Value(int64_t{reflection->GetInt64(message, field)});
    case FieldDescriptor::CPPTYPE_ENUM: {
      int64_t number = reflection->GetEnumValue(message, field);
      return number == 0 ? Value() : Value(number);
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string text = reflection->GetString(message, field);
      return text.empty() ? Value() : Value(std::move(text));
    }
    default: {
      const Message& inner = reflection->GetMessage(message, field);
      if (inner.GetDescriptor() == google::type::Money::descriptor()) return Value(MoneyIn(inner));
      return TimeIn(inner);
    }
  }
}

Value ReadPath(const Message& root, std::string_view path) {
  std::vector<std::string> words = absl::StrSplit(absl::string_view(path.data(), path.size()), '.');
  const Message* message = &root;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    message = &message->GetReflection()->GetMessage(
        *message, message->GetDescriptor()->FindFieldByName(words[i]));
  }
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(words.back());
  EXPECT_NE(field, nullptr) << path;
  return field->is_repeated() ? RepeatedIn(*message, field) : SingleIn(*message, field);
}

template <class E>
void ExpectEncodesEveryField(uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < kRounds; ++round) {
    E entity = AnyEntity<E>(random);
    auto message = ToProto(entity);
    for (const domain::Field<E>& field : domain::FieldsOf<E>()) {
      if (field.spec.type == FieldType::kBlob) continue;
      // The order of the queue is internal, and a merged lead is answered by another.
      if (field.spec.path == "priority" || field.spec.path == "merged_into") continue;
      // An error is a message of its own, there when its code is.
      if (field.spec.path == "error.message" &&
          ReadPath(message, "error.code") == Value(int64_t{0})) {
        continue;
      }
      EXPECT_TRUE(field.get(entity) == ReadPath(message, field.spec.path)) << field.spec.path;
    }
    std::string bytes = message.SerializeAsString();
    decltype(message) again;
    EXPECT_TRUE(again.ParseFromString(bytes)) << "text that is not UTF-8 got out";
  }
}

TEST(EncodeEveryFieldTest, Leads) { ExpectEncodesEveryField<domain::Lead>(1); }
TEST(EncodeEveryFieldTest, Touchpoints) { ExpectEncodesEveryField<domain::Touchpoint>(2); }
TEST(EncodeEveryFieldTest, Consents) { ExpectEncodesEveryField<domain::Consent>(3); }
TEST(EncodeEveryFieldTest, Assessments) { ExpectEncodesEveryField<domain::Assessment>(4); }
TEST(EncodeEveryFieldTest, Opportunities) { ExpectEncodesEveryField<domain::Opportunity>(5); }
TEST(EncodeEveryFieldTest, Users) { ExpectEncodesEveryField<domain::User>(6); }
TEST(EncodeEveryFieldTest, Teams) { ExpectEncodesEveryField<domain::Team>(7); }
TEST(EncodeEveryFieldTest, Imports) { ExpectEncodesEveryField<domain::Import>(8); }
TEST(EncodeEveryFieldTest, Calendars) { ExpectEncodesEveryField<domain::Calendar>(10); }
TEST(EncodeEveryFieldTest, Segments) { ExpectEncodesEveryField<domain::Segment>(12); }
TEST(EncodeEveryFieldTest, Handoffs) { ExpectEncodesEveryField<domain::Handoff>(11); }
TEST(EncodeEveryFieldTest, Operations) { ExpectEncodesEveryField<domain::Operation>(9); }

// protobuf writes each message in one way only, but for the order of maps.
template <class E>
void ExpectBytesOfTheMessage(uint64_t seed) {
  Random random(seed);
  for (int round = 0; round < kRounds; ++round) {
    E entity = AnyEntity<E>(random);
    std::string bytes;
    EncodeTo(entity, bytes);
    typename ProtoOf<E>::Message message;
    ASSERT_TRUE(message.ParseFromString(bytes));
    EXPECT_EQ(message.ByteSizeLong(), bytes.size());
    message.DiscardUnknownFields();
    EXPECT_EQ(message.ByteSizeLong(), bytes.size());
    // In order of field numbers, which is how one that is read and written again stands.
    std::string again;
    {
      google::protobuf::io::StringOutputStream stream(&again);
      google::protobuf::io::CodedOutputStream out(&stream);
      out.SetSerializationDeterministic(true);
      message.SerializeToCodedStream(&out);
    }
    EXPECT_EQ(again, bytes);
    // After what is there, as an entry of a list.
    std::string list = "before";
    EncodeItemTo(1, entity, list);
    EXPECT_EQ(list.substr(0, 6), "before");
    EXPECT_EQ(list.substr(list.size() - bytes.size()), bytes);
  }
}

TEST(EncodeToTest, LeadsAreTheBytesOfTheirMessage) { ExpectBytesOfTheMessage<domain::Lead>(11); }
TEST(EncodeToTest, TouchpointsAreTheBytesOfTheirMessage) {
  ExpectBytesOfTheMessage<domain::Touchpoint>(12);
}

TEST(EncodeToTest, PagesOfAnySizeAreRead) {
  // Lengths of one, two and three bytes, which move what was written after their place.
  for (size_t size : {0, 1, 80, 127, 128, 300, 16'000, 16'383, 16'384, 70'000}) {
    domain::Lead lead;
    lead.id = domain::LeadId("0190a0b0-0000-7000-8000-000000000001");
    lead.person.given_name = std::string(size, 'x');
    std::string bytes;
    EncodeItemTo(v1::ListLeadsResponse::kLeadsFieldNumber, lead, bytes);
    EncodeItemTo(v1::ListLeadsResponse::kLeadsFieldNumber, lead, bytes);
    EncodeTextTo(v1::ListLeadsResponse::kNextPageTokenFieldNumber, "token", bytes);
    v1::ListLeadsResponse page;
    ASSERT_TRUE(page.ParseFromString(bytes)) << size;
    ASSERT_EQ(page.leads_size(), 2);
    EXPECT_EQ(page.leads(1).person().given_name().size(), size);
    EXPECT_EQ(page.next_page_token(), "token");
    EXPECT_EQ(page.ByteSizeLong(), bytes.size());
  }
}

TEST(EncodeEveryFieldTest, NamesAndEtagsAreMadeOfIdsAndRevisions) {
  domain::Lead lead;
  lead.id = domain::LeadId("0190a0b0-0000-7000-8000-000000000001");
  lead.revision = 7;
  EXPECT_EQ(ToProto(lead).name(), kLeadName);
  EXPECT_EQ(ToProto(lead).etag(), domain::EtagOf(7));
  domain::Touchpoint touchpoint;
  touchpoint.lead = lead.id;
  touchpoint.id = domain::TouchpointId("0190a0b0-0000-7000-8000-000000000002");
  EXPECT_EQ(ToProto(touchpoint).name(),
            std::string(kLeadName) + "/touchpoints/0190a0b0-0000-7000-8000-000000000002");
}

// ---- Values that callers may send -------------------------------------------------------------

std::string Text(Random& random) {
  static const std::vector<std::string> kTexts = {"Ada", "caf\xc3\xa9 no. 7",
                                                  "\xe6\x9d\xb1\xe4\xba\xac", "it's \"so\""};
  return kTexts[static_cast<size_t>(random.Below(4))];
}

std::vector<domain::ExternalId> ExternalIds(Random& random) {
  std::vector<domain::ExternalId> out;
  for (int64_t i = 0, n = random.Below(4); i < n; ++i) {
    out.push_back({"crm." + std::to_string(i), absl::StrCat("Key:", random.Below(1000))});
  }
  return out;
}

std::map<std::string, std::string> Labels(Random& random) {
  std::map<std::string, std::string> out;
  for (int64_t i = 0, n = random.Below(5); i < n; ++i) {
    out[absl::StrCat("label ", i)] = random.Maybe() ? Text(random) : "";
  }
  return out;
}

domain::Lead GoodLead(Random& random) {
  domain::Lead lead;
  lead.id = domain::LeadId(random.Uuid());
  lead.revision = 1 + random.Below(9);
  lead.market = static_cast<domain::Market>(random.Below(3));
  domain::Person& person = lead.person;
  for (std::string* text : {&person.given_name, &person.family_name, &person.display_name,
                            &person.job_title, &person.postal_address.locality,
                            &person.postal_address.region, &person.postal_address.postal_code,
                            &lead.organization.display_name, &lead.organization.industry}) {
    if (random.Maybe()) *text = Text(random);
  }
  if (random.Maybe()) person.postal_address.street = "1 rue X\nBat. C";
  for (int64_t i = 0, n = random.Below(4); i < n; ++i) {
    person.emails.push_back({absl::StrCat("user", i, "+tag@example", random.Below(9), ".com"),
                             random.Maybe() ? "work" : ""});
    person.phones.push_back({absl::StrCat("+3361234567", i), random.Maybe() ? "06 12 34" : "",
                             random.Maybe() ? "mobile" : ""});
  }
  if (random.Maybe()) person.language = "fr-CA";
  if (random.Maybe()) person.country = "CA";
  if (random.Maybe()) person.time_zone = "America/Montreal";
  if (random.Maybe()) person.birth_date = "1970-12-31";
  if (random.Maybe()) person.postal_address.country = "FR";
  if (random.Maybe()) lead.organization.domain = "acme.example";
  if (random.Maybe()) lead.organization.headcount = random.Below(100'000);
  if (random.Maybe()) lead.organization.annual_revenue = random.Money();
  for (int64_t i = 0, n = random.Below(4); i < n; ++i)
    lead.needs.push_back(absl::StrCat("need", i));
  lead.maturity = static_cast<domain::Maturity>(random.Below(4));
  if (random.Maybe()) lead.estimated_value = random.Money();
  lead.labels = Labels(random);
  lead.external_ids = ExternalIds(random);
  return lead;
}

domain::Opportunity GoodOpportunity(Random& random) {
  domain::Opportunity out;
  out.id = domain::OpportunityId(random.Uuid());
  if (random.Maybe()) out.display_name = Text(random);
  if (random.Maybe()) out.amount = random.Money();
  for (int64_t i = 0, n = random.Below(4); i < n; ++i) {
    out.line_items.push_back({Text(random), random.Maybe() ? Text(random) : "",
                              absl::StrCat(1 + random.Below(9), ".5"),
                              random.Maybe() ? domain::FormatMoney(random.Money()) : ""});
    out.competitors.push_back(absl::StrCat("rival ", i));
    out.contacts.push_back({"leads/" + random.Uuid(), random.Maybe() ? "buyer" : ""});
    out.objections.push_back(absl::StrCat("too dear ", i));
  }
  if (random.Maybe()) out.expected_close_time = random.Time();
  if (random.Maybe()) out.requested_delivery_time = random.Time();
  if (random.Maybe()) out.promised_delivery_time = random.Time();
  if (random.Maybe()) out.next_step = Text(random);
  if (random.Maybe()) out.owner = "users/" + random.Uuid();
  out.external_ids = ExternalIds(random);
  out.labels = Labels(random);
  return out;
}

template <class E>
void ExpectSame(absl::Span<const std::string_view> paths, const E& given, const E& read) {
  for (std::string_view path : paths) {
    const domain::Field<E>* field = domain::FindField<E>(path);
    EXPECT_TRUE(field->get(given) == field->get(read)) << path;
  }
}

TEST(RoundTripTest, LeadsReadAndSentBackAreUnchanged) {
  Random random(21);
  for (int round = 0; round < kRounds; ++round) {
    domain::Lead lead = GoodLead(random);
    v1::UpdateLeadRequest request;
    *request.mutable_lead() = ToProto(lead);
    request.mutable_update_mask()->add_paths("*");
    auto parsed = ParseUpdateLead(request, TestContext());
    ASSERT_TRUE(parsed.ok()) << parsed.status() << request.DebugString();
    EXPECT_EQ(parsed->command.lead, lead.id);
    EXPECT_EQ(parsed->command.etag, domain::EtagOf(lead.revision));
    ExpectSame(DescriptiveLeadPaths(), lead, parsed->command.values);

    // Without a mask, the paths are those that have a value.
    request.clear_update_mask();
    std::vector<std::string> populated;
    for (std::string_view path : DescriptiveLeadPaths()) {
      if (!domain::FindField<domain::Lead>(path)->get(lead).absent()) populated.emplace_back(path);
    }
    EXPECT_EQ(ParseUpdateLead(request, TestContext())->command.paths, populated);
  }
}

TEST(RoundTripTest, OpportunitiesReadAndSentBackAreUnchanged) {
  Random random(22);
  for (int round = 0; round < kRounds; ++round) {
    domain::Opportunity opportunity = GoodOpportunity(random);
    v1::UpdateOpportunityRequest request;
    *request.mutable_opportunity() = ToProto(opportunity);
    request.mutable_update_mask()->add_paths("*");
    auto parsed = ParseUpdateOpportunity(request, TestContext());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ExpectSame(DescriptiveOpportunityPaths(), opportunity, parsed->command.values);
  }
}

TEST(RoundTripTest, UsersAndTeamsReadAndSentBackAreUnchanged) {
  Random random(23);
  for (int round = 0; round < kRounds; ++round) {
    domain::User user;
    user.id = domain::UserId(random.Uuid());
    user.display_name = Text(random);
    if (random.Maybe()) user.email = "grace@example.com";
    for (int64_t i = 0, n = random.Below(3); i < n; ++i) {
      user.teams.push_back("teams/" + random.Uuid());
      user.external_ids[absl::StrCat("crm", i)] = Text(random);
    }
    if (random.Maybe()) user.time_zone = "Europe/Paris";
    if (random.Maybe()) user.language = "fr";
    v1::UpdateUserRequest request;
    *request.mutable_user() = ToProto(user);
    request.mutable_update_mask()->add_paths("*");
    auto parsed = ParseUpdateUser(request, TestContext());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ExpectSame(DescriptiveUserPaths(), user, parsed->command.values);

    domain::Team team;
    team.id = domain::TeamId(random.Uuid());
    team.display_name = Text(random);
    if (random.Maybe()) team.parent_team = "teams/" + random.Uuid();
    v1::UpdateTeamRequest team_request;
    *team_request.mutable_team() = ToProto(team);
    auto team_parsed = ParseUpdateTeam(team_request, TestContext());
    ASSERT_TRUE(team_parsed.ok()) << team_parsed.status();
    ExpectSame(DescriptiveTeamPaths(), team, team_parsed->command.values);
  }
}

TEST(RoundTripTest, HistoryReadAndSentBackIsUnchanged) {
  Random random(24);
  for (int round = 0; round < kRounds; ++round) {
    domain::Touchpoint touchpoint;
    touchpoint.kind = static_cast<domain::TouchpointKind>(1 + random.Below(25));
    touchpoint.channel = static_cast<domain::Channel>(random.Below(21));
    touchpoint.occur_time = random.PastTime();
    touchpoint.source = "site";
    for (std::string* text :
         {&touchpoint.external_id, &touchpoint.campaign, &touchpoint.topic, &touchpoint.url}) {
      if (random.Maybe()) *text = Text(random);
    }
    if (random.Maybe()) touchpoint.body = "line\n\tline";
    if (random.Maybe()) touchpoint.value = random.Money();
    if (random.Maybe()) touchpoint.duration_seconds = random.Below(10'000);
    touchpoint.properties = Labels(random);
    v1::RecordTouchpointRequest record;
    record.set_parent(kLeadName);
    *record.mutable_touchpoint() = ToProto(touchpoint);
    auto recorded = ParseRecordTouchpoint(record, TestContext());
    ASSERT_TRUE(recorded.ok()) << recorded.status();
    EXPECT_EQ(recorded->command.touchpoint, touchpoint);
    EXPECT_EQ(recorded->command.occur_time, touchpoint.occur_time);

    domain::Consent consent;
    consent.channel = static_cast<domain::ConsentChannel>(1 + random.Below(5));
    consent.purpose = static_cast<domain::ConsentPurpose>(1 + random.Below(4));
    consent.state = static_cast<domain::ConsentState>(1 + random.Below(2));
    consent.legal_basis = static_cast<domain::LegalBasis>(1 + random.Below(4));
    if (random.Maybe()) consent.wording_version = Text(random);
    if (random.Maybe()) consent.source = Text(random);
    if (random.Maybe()) consent.proof = Text(random);
    consent.occur_time = random.PastTime();
    v1::SetConsentRequest set;
    set.set_parent(kLeadName);
    *set.mutable_consent() = ToProto(consent);
    auto consented = ParseSetConsent(set, TestContext());
    ASSERT_TRUE(consented.ok()) << consented.status();
    EXPECT_EQ(consented->command.consent, consent);

    domain::Assessment assessment;
    for (int64_t i = 0, n = 1 + random.Below(4); i < n; ++i) {
      assessment.answers.push_back(AnyAnswer(random, static_cast<int>(i)));
      for (std::string* text :
           {&assessment.answers.back().need, &assessment.answers.back().evidence}) {
        if (!text->empty()) *text = Text(random);
      }
    }
    assessment.source = static_cast<domain::AssessmentSource>(1 + random.Below(4));
    assessment.author = "users/" + random.Uuid();
    assessment.occur_time = random.PastTime();
    v1::AssessLeadRequest assess;
    assess.set_parent(kLeadName);
    *assess.mutable_assessment() = ToProto(assessment);
    auto assessed = ParseAssessLead(assess, TestContext());
    ASSERT_TRUE(assessed.ok()) << assessed.status();
    EXPECT_EQ(assessed->command.assessment, assessment);
  }
}

}  // namespace
}  // namespace relais::convert
