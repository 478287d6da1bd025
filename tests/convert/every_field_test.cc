// Poisons every field of every request, one at a time, and expects exactly that field to be named:
// no field reaches a command unchecked, no path is misspelt, no personal value is shown.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/type/money.pb.h"
#include "server/domain/faults.h"
#include "tests/convert/calls.h"
#include "tests/convert/contract_files.h"

namespace relais::convert {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kMarker[] = "Marker7413";

// One way to spoil a request: what was done, where the refusal should point.
struct Poison {
  std::string field;
  bool shown = false;  // the value is open, so the refusal may quote it
  std::string marker;  // a part of the value
};

// What callers may send and the server does not read: output only, or fixed by another field.
bool IsIgnored(const std::string& call, const FieldDescriptor& field) {
  static const std::map<std::string, std::set<std::string>> kOutputOnly = {
      {"Lead",
       {"name",
        "stage",
        "score",
        "fit_score",
        "engagement_score",
        "intent_score",
        "grade",
        "score_band",
        "score_model",
        "next_score_time",
        "owner",
        "consents",
        "consent_times",
        "milestones",
        "counters",
        "disqualify_reason",
        "create_time",
        "update_time",
        "merged_leads",
        "etag"}},
      {"Acquisition", {"first_touch_time"}},
      {"Touchpoint", {"name", "create_time", "actor"}},
      {"Consent", {"name", "create_time", "actor"}},
      {"Assessment", {"name", "create_time", "policy"}},
      {"Opportunity",
       {"name", "state", "pipeline", "stage", "probability_percent", "close_reason",
        "winning_competitor", "open_time", "stage_time", "close_time", "stage_seconds",
        "reopen_count", "create_time", "update_time", "etag"}},
      {"User", {"name", "archived", "create_time", "update_time", "etag"}},
      {"ScoringModel",
       {"name", "revision", "built_in", "state", "author", "create_time", "activate_time", "etag"}},
      {"QualificationPolicy",
       {"name", "revision", "built_in", "state", "author", "create_time", "activate_time", "etag"}},
      {"Team", {"name", "archived", "create_time", "update_time", "etag"}},
      {"RoutingRule", {"name", "archived", "revision", "create_time", "etag"}},
      {"HandoffPolicy", {"name", "market", "revision", "etag"}},
      {"Segment",
       {"name", "state", "time_dependent", "ready_time", "create_time", "update_time", "etag"}},
      {"Calendar", {"name", "archived", "create_time", "update_time", "etag"}},
      {"Handoff",
       {"name",
        "state",
        "trigger",
        "routing_rule",
        "calendar",
        "score",
        "reject_reason",
        "earlier_owners",
        "escalation_count",
        "reassignment_count",
        "due_time",
        "trigger_time",
        "assign_time",
        "first_response_time",
        "close_time",
        "system_seconds",
        "human_seconds",
        "human_working_seconds",
        "create_time",
        "update_time",
        "etag"}},
  };
  const std::string& message = field.containing_type()->name();
  if (absl::StartsWith(call, "Update")) {
    if (field.name() == "name" || field.name() == "etag") return false;
    if (message == "Lead" && field.name() == "acquisition") return true;
    if (message == "Opportunity" && (field.name() == "lead" || field.name() == "intention")) {
      return true;
    }
  }
  // Rows name their lead beside the opportunity.
  if (absl::StartsWith(call, "ImportRows") && message == "Opportunity" && field.name() == "lead") {
    return true;
  }
  auto found = kOutputOnly.find(message);
  return found != kOutputOnly.end() && found->second.contains(field.name());
}

// Fields whose every value is good.
bool IsFree(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
}

// What is opaque or has a position of its own is refused without being repeated.
bool IsNeverShown(const std::string& field) {
  return field == "page_token" || field == "resume_token" || field == "filter" ||
         field == "routing_rule.filter" || field == "segment.filter";
}

class EveryField {
 public:
  using Check = std::function<void(const Message& spoiled, const Poison& poison)>;

  EveryField(std::string call, const Message& good, Check check)
      : call_(std::move(call)), good_(good), check_(std::move(check)) {}

  void Run() {
    std::unique_ptr<Message> request = Copy();
    Visit(*request->GetDescriptor(), "", false, [](Message& root) { return &root; });
  }

 private:
  // From the root of a fresh copy to the message that holds the field.
  using Reach = std::function<Message*(Message& root)>;

  std::unique_ptr<Message> Copy() const {
    std::unique_ptr<Message> copy(good_.New());
    copy->CopyFrom(good_);
    return copy;
  }

  void Spoil(const Reach& reach, const Poison& poison,
             const std::function<void(Message&)>& change) {
    std::unique_ptr<Message> request = Copy();
    change(*reach(*request));
    check_(*request, poison);
  }

  void Visit(const google::protobuf::Descriptor& type, const std::string& prefix, bool personal,
             const Reach& reach) {
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor* field = type.field(i);
      if (IsIgnored(call_, *field) || IsFree(*field)) continue;
      VisitField(*field, prefix + field->name(), personal || IsMarkedPersonal(*field), reach);
    }
  }

  void VisitField(const FieldDescriptor& field, std::string path, bool personal,
                  const Reach& reach) {
    const FieldDescriptor* f = &field;
    if (field.is_map()) return VisitMap(f, path, personal, reach);
    if (field.is_repeated()) absl::StrAppend(&path, "[0]");
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        // A text with a control character, and one that is too long for any field.
        for (const std::string& value :
             {absl::StrCat(kMarker, "\x01"), kMarker + std::string(40'000, 'x'),
              absl::StrCat(kMarker, std::string(1, '\0')), absl::StrCat(kMarker, "\xff\xfe"),
              absl::StrCat(kMarker, "\xe2\x80\xae")}) {
          Spoil(reach, {path, !personal, kMarker}, [&](Message& m) { SetText(m, f, value); });
        }
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        for (int number : {99, -1, std::numeric_limits<int>::min()}) {
          Spoil(reach, {path}, [&](Message& m) { m.GetReflection()->SetEnumValue(&m, f, number); });
        }
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        Spoil(reach, {path}, [&](Message& m) {
          constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
          if (!f->is_repeated()) return m.GetReflection()->SetInt64(&m, f, kLeast);
          m.GetReflection()->ClearField(&m, f);
          m.GetReflection()->AddInt64(&m, f, kLeast);
        });
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        Spoil(reach, {path}, [&](Message& m) {
          m.GetReflection()->SetInt32(&m, f, std::numeric_limits<int32_t>::min());
        });
        break;
      case FieldDescriptor::CPPTYPE_MESSAGE:
        VisitMessage(f, path, personal, reach);
        break;
      default:
        ADD_FAILURE() << "no poison for " << field.full_name();
    }
  }

  void VisitMap(const FieldDescriptor* f, const std::string& path, bool personal,
                const Reach& reach) {
    auto add = [f](Message& m, const std::string& key, const std::string& value) {
      Message* entry = m.GetReflection()->AddMessage(&m, f);
      entry->GetReflection()->SetString(entry, f->message_type()->map_key(), key);
      entry->GetReflection()->SetString(entry, f->message_type()->map_value(), value);
    };
    std::string bad = absl::StrCat(kMarker, "\x01");
    Spoil(reach, {path, !personal, kMarker}, [&](Message& m) { add(m, bad, "value"); });
    Spoil(reach, {path, !personal, kMarker}, [&](Message& m) { add(m, "key", bad); });
    Spoil(reach, {path}, [&](Message& m) { add(m, "", "value"); });
    Spoil(reach, {path}, [&](Message& m) {
      for (int i = 0; i < 65; ++i) add(m, absl::StrCat("key", i), "value");
    });
  }

  void VisitMessage(const FieldDescriptor* f, const std::string& path, bool personal,
                    const Reach& reach) {
    Reach below = [f, reach](Message& root) {
      Message* m = reach(root);
      const google::protobuf::Reflection* reflection = m->GetReflection();
      if (!f->is_repeated()) return reflection->MutableMessage(m, f);
      if (reflection->FieldSize(*m, f) == 0) reflection->AddMessage(m, f);
      return reflection->MutableRepeatedMessage(m, f, 0);
    };
    const std::string& type = f->message_type()->full_name();
    if (type == "google.protobuf.Timestamp") {
      using google::protobuf::Timestamp;
      auto set = [&](int64_t seconds, int32_t nanos) {
        Spoil(below, {path}, [=](Message& m) {
          auto& time = static_cast<Timestamp&>(m);
          time.set_seconds(seconds);
          time.set_nanos(nanos);
        });
      };
      set(std::numeric_limits<int64_t>::max(), 0);
      set(std::numeric_limits<int64_t>::min(), 0);
      set(253'402'300'800, 0);
      set(0, -1);
      set(0, 1'000'000'000);
      // What happened or was recorded lies in the past, give or take a clock.
      if (f->name() == "occur_time" || f->name() == "read_time") {
        set(kNow.micros / 1'000'000 + 301, 0);
      }
    } else if (type == "google.type.Money") {
      using google::type::Money;
      auto set = [&](const char* where, const std::string& currency, int64_t units, int32_t nanos) {
        Spoil(below, {absl::StrCat(path, ".", where)}, [=](Message& m) {
          auto& money = static_cast<Money&>(m);
          money.set_currency_code(currency);
          money.set_units(units);
          money.set_nanos(nanos);
        });
      };
      set("currency_code", "", 1, 0);
      set("currency_code", "XXX", 1, 0);
      set("currency_code", "eur", 1, 0);
      set("currency_code", "EURO", 1, 0);
      set("nanos", "EUR", 1, 1'000'000'000);
      set("nanos", "EUR", -1, -1'000'000'000);
      set("nanos", "EUR", 1, -1);
      set("nanos", "EUR", -1, 1);
    } else if (type == "google.protobuf.FieldMask") {
      Spoil(below, {path + ".paths[0]", true, kMarker}, [](Message& m) {
        static_cast<google::protobuf::FieldMask&>(m).add_paths(absl::StrCat(kMarker, "\x01"));
      });
    } else {
      Visit(*f->message_type(), path + ".", personal, below);
    }
  }

  static void SetText(Message& m, const FieldDescriptor* f, const std::string& value) {
    const google::protobuf::Reflection* reflection = m.GetReflection();
    if (!f->is_repeated()) return reflection->SetString(&m, f, value);
    reflection->ClearField(&m, f);
    reflection->AddString(&m, f, value);
  }

  std::string call_;
  const Message& good_;
  Check check_;
};

const Calls& AllCalls() {
  static const auto* const kCalls = new Calls();
  return *kCalls;
}

TEST(EveryFieldTest, EveryCallOfTheContractIsDecoded) {
  for (const auto* method : ContractMethods()) {
    if (method->name() == "ImportLeads") continue;  // the chunks of ImportRows
    EXPECT_TRUE(AllCalls().cases().contains(method->name())) << method->full_name();
  }
}

TEST(EveryFieldTest, GoodRequestsAreAccepted) {
  for (const auto& [name, call] : AllCalls().cases()) {
    for (const absl::Status& status : call.parse(*call.good))
      EXPECT_TRUE(status.ok()) << name << status;
  }
}

TEST(EveryFieldTest, EachBadFieldIsNamedByItsPathAndPersonalValuesStayHidden) {
  int poisons = 0;
  for (const auto& [name, call] : AllCalls().cases()) {
    EveryField(
        name, *call.good,
        [&, &parse = call.parse, &call_name = name](const Message& spoiled, const Poison& poison) {
          ++poisons;
          SCOPED_TRACE(absl::StrCat(call_name, " ", poison.field));
          std::vector<absl::Status> statuses = parse(spoiled);
          ASSERT_EQ(statuses.size(), 1u);
          ASSERT_EQ(statuses[0].code(), absl::StatusCode::kInvalidArgument);
          std::optional<domain::Fault> fault = domain::FaultOf(statuses[0]);
          ASSERT_TRUE(fault.has_value());
          bool named = false;
          std::string told = fault->message;
          for (const domain::FieldViolation& violation : fault->fields) {
            named |= violation.field == poison.field;
            EXPECT_FALSE(violation.description.empty());
            EXPECT_LT(violation.description.size(), 1500u);
            absl::StrAppend(&told, violation.description);
          }
          EXPECT_TRUE(named) << "named instead: " << statuses[0];
          if (!poison.marker.empty()) {
            EXPECT_EQ(absl::StrContains(told, poison.marker),
                      poison.shown && !IsNeverShown(poison.field))
                << told;
          }
          for (char c : told) EXPECT_GE(c, 0x20) << "unprintable bytes in a refusal";
        })
        .Run();
  }
  EXPECT_GT(poisons, 2000);
}

TEST(EveryFieldTest, OpenValuesAreShownShortened) {
  v1::CaptureLeadRequest request;
  request.mutable_lead()->mutable_person()->set_given_name("Ada");
  request.mutable_lead()->mutable_acquisition()->set_source(std::string(2000, 's'));
  request.mutable_lead()->mutable_person()->set_country("Frankreich");
  absl::Status status = ParseCaptureLead(request, TestContext()).status();
  std::optional<domain::Fault> fault = domain::FaultOf(status);
  ASSERT_TRUE(fault && fault->fields.size() == 2);
  EXPECT_EQ(fault->fields[0].field, "lead.person.country");
  EXPECT_EQ(fault->fields[0].description,
            "must be a country code of ISO 3166-1 alpha-2, not \"Frankreich\"");
  EXPECT_EQ(fault->fields[1].field, "lead.acquisition.source");
  EXPECT_TRUE(
      absl::EndsWith(fault->fields[1].description, ", not \"" + std::string(64, 's') + "...\""));
}

}  // namespace
}  // namespace relais::convert
