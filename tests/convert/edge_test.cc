// The edge of convert: google.rpc statuses, filters and orders, bytes from the wire, answers' size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "google/protobuf/stubs/logging.h"
#include "google/rpc/code.pb.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/convert/filters.h"
#include "server/convert/limits.h"
#include "server/convert/response_size.h"
#include "server/convert/rpc_status.h"
#include "server/convert/search_words.h"
#include "server/convert/wire.h"
#include "server/domain/faults.h"
#include "server/domain/filter_eval.h"
#include "tests/convert/calls.h"

namespace relais::convert {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

template <class D>
std::optional<D> DetailOf(const google::rpc::Status& status) {
  for (const google::protobuf::Any& any : status.details()) {
    D detail;
    if (any.Is<D>() && any.UnpackTo(&detail)) return detail;
  }
  return std::nullopt;
}

// ---- google.rpc -------------------------------------------------------------------------------

TEST(RpcStatusTest, EveryFaultOfTheCatalogueHasItsCodeAndReason) {
  const std::vector<domain::PreconditionViolation> unmet = {{"CRITERION", "budget", "unknown"}};
  struct {
    absl::Status status;
    int code;
    const char* reason;
  } const cases[] = {
      {domain::InvalidField("f", "must be"), google::rpc::INVALID_ARGUMENT, "INVALID_FIELD"},
      {domain::InvalidFilter("filter", 1, 2, "m"), google::rpc::INVALID_ARGUMENT, "INVALID_FILTER"},
      {domain::InvalidPageToken(), google::rpc::INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"},
      {domain::NotFound("Lead", kLeadName), google::rpc::NOT_FOUND, "NOT_FOUND"},
      {domain::RequestIdReused(kRequestId), google::rpc::ALREADY_EXISTS, "REQUEST_ID_REUSED"},
      {domain::Taken("email", "Lead", kLeadName), google::rpc::ALREADY_EXISTS, "ALREADY_EXISTS"},
      {domain::PreconditionFailed("CRITERIA_NOT_MET", "m", unmet), google::rpc::FAILED_PRECONDITION,
       "CRITERIA_NOT_MET"},
      {domain::StaleEtag("n", "1", "2"), google::rpc::ABORTED, "ETAG_MISMATCH"},
      {domain::HistoryChanged(), google::rpc::OUT_OF_RANGE, "HISTORY_CHANGED"},
      {domain::Overloaded(250), google::rpc::RESOURCE_EXHAUSTED, "OVERLOADED"},
      {domain::StorageUnavailable(1500), google::rpc::UNAVAILABLE, "STORAGE_UNAVAILABLE"},
      {domain::OutcomeUnknown(), google::rpc::UNAVAILABLE, "OUTCOME_UNKNOWN"},
      {domain::Expired(), google::rpc::DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"},
      {absl::CancelledError("secret"), google::rpc::CANCELLED, "CANCELLED"},
      {absl::DeadlineExceededError("secret"), google::rpc::DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"},
  };
  for (const auto& [status, code, reason] : cases) {
    google::rpc::Status rpc = ToRpcStatus(status, "call-7");
    EXPECT_EQ(rpc.code(), code) << status;
    auto info = DetailOf<google::rpc::ErrorInfo>(rpc);
    ASSERT_TRUE(info.has_value());
    EXPECT_EQ(info->reason(), reason);
    EXPECT_EQ(info->domain(), "relais");
    EXPECT_THAT(rpc.message(), AllOf(Not(IsEmpty()), Not(HasSubstr("secret"))));
  }
  EXPECT_EQ(ToRpcStatus(absl::OkStatus(), "call-7").ByteSizeLong(), 0u);
}

TEST(RpcStatusTest, DetailsCarryWhatTheFaultKnows) {
  auto bad = DetailOf<google::rpc::BadRequest>(
      ToRpcStatus(domain::InvalidFields({{"a.b", "must"}, {"c", "should"}}), ""));
  ASSERT_TRUE(bad.has_value());
  ASSERT_EQ(bad->field_violations_size(), 2);
  EXPECT_EQ(bad->field_violations(0).field(), "a.b");
  EXPECT_EQ(bad->field_violations(1).description(), "should");

  auto precondition = DetailOf<google::rpc::PreconditionFailure>(ToRpcStatus(
      domain::PreconditionFailed("CRITERIA_NOT_MET", "m", {{"CRITERION", "budget", "unknown"}}),
      ""));
  ASSERT_TRUE(precondition.has_value());
  EXPECT_EQ(precondition->violations(0).type(), "CRITERION");
  EXPECT_EQ(precondition->violations(0).subject(), "budget");

  auto resource =
      DetailOf<google::rpc::ResourceInfo>(ToRpcStatus(domain::NotFound("Lead", kLeadName), ""));
  ASSERT_TRUE(resource.has_value());
  EXPECT_EQ(resource->resource_name(), kLeadName);

  auto retry = DetailOf<google::rpc::RetryInfo>(ToRpcStatus(domain::StorageUnavailable(1500), ""));
  ASSERT_TRUE(retry.has_value());
  EXPECT_EQ(retry->retry_delay().seconds(), 1);
  EXPECT_EQ(retry->retry_delay().nanos(), 500'000'000);

  auto etag =
      DetailOf<google::rpc::ErrorInfo>(ToRpcStatus(domain::StaleEtag("n", "\"1\"", "\"2\""), ""));
  EXPECT_EQ(etag->metadata().at("expected"), "\"1\"");
  EXPECT_EQ(etag->metadata().at("actual"), "\"2\"");
}

TEST(RpcStatusTest, WhatIsNotClassifiedSaysTheCallOnly) {
  for (const absl::Status& status :
       {absl::InternalError("INSERT INTO leads VALUES ('ada@example.com')"),
        domain::InternalFault("/var/lib/relais/relais.db is corrupt"),
        absl::NotFoundError("ada@example.com"), absl::UnknownError("x")}) {
    google::rpc::Status rpc = ToRpcStatus(status, "call-7");
    EXPECT_EQ(rpc.code(), google::rpc::INTERNAL);
    EXPECT_EQ(rpc.message(), "internal error; call call-7");
    EXPECT_THAT(rpc.DebugString(), AllOf(Not(HasSubstr("ada@")), Not(HasSubstr("relais.db")),
                                         Not(HasSubstr("INSERT"))));
    EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(rpc)->metadata().at("call_id"), "call-7");
  }
}

TEST(RpcStatusTest, LongRefusalsFitTheTrailersOfSmallClients) {
  std::vector<domain::FieldViolation> violations;
  for (int i = 0; i < 200; ++i) {
    violations.push_back({"lead.needs[" + std::to_string(i) + "]", std::string(100, 'r')});
  }
  google::rpc::Status rpc = ToRpcStatus(domain::InvalidFields(violations), "call-7");
  auto bad = DetailOf<google::rpc::BadRequest>(rpc);
  ASSERT_TRUE(bad.has_value());
  EXPECT_GT(bad->field_violations_size(), 20);
  EXPECT_LT(bad->field_violations_size(), 200);
  EXPECT_EQ(DetailOf<google::rpc::ErrorInfo>(rpc)->metadata().at("violations_total"), "200");
  // Whole, base64 included, below 8 KiB.
  EXPECT_LT(rpc.ByteSizeLong() * 4 / 3 + rpc.message().size(), 8u * 1024);

  google::rpc::Status few = ToRpcStatus(domain::InvalidField("f", "r"), "call-7");
  EXPECT_FALSE(DetailOf<google::rpc::ErrorInfo>(few)->metadata().contains("violations_total"));
}

TEST(RpcStatusTest, MessagesAreCutBetweenCharacters) {
  std::string long_rule;
  while (long_rule.size() < 2 * kMaxStatusMessageBytes) long_rule += "\xc3\xa9";
  google::rpc::Status rpc = ToRpcStatus(domain::InvalidField("f", long_rule), "");
  EXPECT_LE(rpc.message().size(), kMaxStatusMessageBytes);
  EXPECT_EQ(static_cast<unsigned char>(rpc.message().back()), 0xa9u);
}

// ---- Filters and orders -----------------------------------------------------------------------

absl::Status FilterStatus(const std::string& text, const domain::FilterSchema& schema) {
  return ParseFilterField(text, schema).status();
}

TEST(FilterFieldTest, SchemasNameTheFieldsOfTheContract) {
  EXPECT_TRUE(FilterStatus("stage = PROSPECT AND score >= 40 AND acquisition.channel = \"WEBINAR\"",
                           LeadFilterSchema())
                  .ok());
  EXPECT_TRUE(FilterStatus("count(touchpoints, kind = FORM, 30d) >= 3 AND "
                           "last(touchpoints, kind = PRICING_VIEW) > now() - 7d",
                           LeadFilterSchema())
                  .ok());
  EXPECT_TRUE(FilterStatus("lead = \"leads/x\" AND state = OPEN AND amount >= \"5 EUR\"",
                           OpportunityFilterSchema())
                  .ok());
  EXPECT_TRUE(FilterStatus("kind = CALL", TouchpointFilterSchema()).ok());
  EXPECT_TRUE(FilterStatus("archived = false AND email = \"a@b.fr\"", UserFilterSchema()).ok());
  EXPECT_TRUE(FilterStatus("display_name = \"North\"", TeamFilterSchema()).ok());
  EXPECT_TRUE(FilterStatus("kind = \"import\" AND state = RUNNING", OperationFilterSchema()).ok());
  for (const char* hidden : {"score_state = \"x\"", "consent_times.x = \"1\"", "etag = \"1\"",
                             "name = \"x\"", "count(opportunities) > 1"}) {
    EXPECT_FALSE(FilterStatus(hidden, LeadFilterSchema()).ok()) << hidden;
  }
  EXPECT_FALSE(FilterStatus("rows_done > 1", OperationFilterSchema()).ok());
}

TEST(FilterFieldTest, EmptyMeansAll) {
  EXPECT_EQ(ParseFilterField("", LeadFilterSchema()).value(), std::nullopt);
  EXPECT_EQ(ParseFilterField("  ", LeadFilterSchema()).value(), std::nullopt);
}

TEST(FilterFieldTest, RefusalsGiveFieldLineAndColumn) {
  absl::Status status = FilterStatus("stage = PROSPECT\n  AND scor > 1", LeadFilterSchema());
  std::optional<domain::Fault> fault = domain::FaultOf(status);
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->reason, "INVALID_FILTER");
  EXPECT_EQ(fault->metadata.at("line"), "2");
  EXPECT_EQ(fault->metadata.at("column"), "7");
  ASSERT_EQ(fault->fields.size(), 1u);
  EXPECT_EQ(fault->fields[0].field, "filter");
}

TEST(FilterFieldTest, HugeAndDeepFiltersAreRefusedQuickly) {
  auto begin = std::chrono::steady_clock::now();
  for (const std::string& text :
       {std::string(1 << 20, 'a'), std::string(1 << 20, '('), std::string(10'000, '('),
        "stage = LEAD" + std::string(1 << 20, ' '), std::string(10'000, '-') + "stage = LEAD"}) {
    absl::Status status = FilterStatus(text, LeadFilterSchema());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_LT(status.message().size(), 500u);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST(FilterFieldTest, EventsAreFilteredByWhatTheyAre) {
  domain::Event event;
  event.number = 12;
  event.type = domain::EventType::kLeadTransitioned;
  event.subject = kLeadName;
  event.lead = domain::LeadId("0190a0b0-0000-7000-8000-000000000001");
  event.actor = "users/x";
  event.trigger = "QualifyLead";
  event.occur_time = {5'000'000};
  event.record_time = {9'000'000};
  event.rule_version = "qualificationPolicies/bant@1";
  event.changes.push_back({"person.given_name", {}, domain::Value("Ada"), true});
  auto matches = [&](const std::string& text) {
    auto filter = ParseFilterField(text, EventFilterSchema());
    EXPECT_TRUE(filter.ok()) << filter.status();
    return filter.ok() && domain::Matches(**filter, EventSubject(event), kNow);
  };
  EXPECT_TRUE(matches("type = LEAD_TRANSITIONED AND number >= 12"));
  EXPECT_TRUE(
      matches("lead = \"" + std::string(kLeadName) + "\" AND subject = \"" + kLeadName + "\""));
  EXPECT_TRUE(matches("actor = \"users/x\" AND trigger = \"QualifyLead\""));
  EXPECT_TRUE(
      matches("occur_time < \"1970-01-01T00:00:06Z\" AND "
              "record_time > \"1970-01-01T00:00:06Z\""));
  EXPECT_TRUE(matches("rule_version : \"bant\" AND NOT basis:*"));
  EXPECT_FALSE(matches("type = LEAD_CREATED"));
  event.lead = {};
  EXPECT_FALSE(matches("lead:*"));
  EXPECT_FALSE(FilterStatus("changes:*", EventFilterSchema()).ok());
  EXPECT_FALSE(FilterStatus("reason:*", EventFilterSchema()).ok());
}

TEST(OrderByTest, OnlyTheClosedListIsTaken) {
  EXPECT_EQ(ParseOrderBy("", LeadOrders())->ToString(), "create_time");
  EXPECT_EQ(ParseOrderBy("score", LeadOrders())->ToString(), "score");
  EXPECT_EQ(ParseOrderBy(" score   desc ", LeadOrders())->ToString(), "score desc");
  EXPECT_EQ(ParseOrderBy("amount.units desc", OpportunityOrders())->path, "amount.units");
  for (const char* bad : {"person.given_name", "score asc", "score DESC", "score, create_time",
                          "desc", "score desc desc", "score;drop table leads"}) {
    absl::Status status = ParseOrderBy(bad, LeadOrders()).status();
    ASSERT_TRUE(domain::FaultOf(status).has_value()) << bad;
    EXPECT_EQ(domain::FaultOf(status)->fields[0].field, "order_by");
  }
  for (std::string_view path : LeadOrders()) {
    EXPECT_NE(domain::FindField<domain::Lead>(path), nullptr) << path;
  }
}

TEST(SearchWordsTest, TextIsCutAlikeWhenIndexedAndWhenSearched) {
  EXPECT_THAT(SearchWords("Jean-Pierre  D\xc3\xbc"
                          "rer"),
              ElementsAre("jean-pierre", "durer"));
  EXPECT_THAT(SearchWords("ada ADA Ada"), ElementsAre("ada"));
  EXPECT_THAT(SearchWords("+33 6 12 34 56 78"), ElementsAre("33612345678"));
  EXPECT_THAT(SearchWords("12 rue"), ElementsAre("12", "rue"));
  EXPECT_THAT(SearchWords("123"), ElementsAre("123"));
  EXPECT_THAT(SearchWords(" \t "), IsEmpty());
}

// ---- Bytes ------------------------------------------------------------------------------------

TEST(WireTest, GoodBytesGiveTheSameMessage) {
  Calls calls;
  for (const auto& [name, call] : calls.cases()) {
    std::unique_ptr<google::protobuf::Message> out(call.good->New());
    ASSERT_TRUE(ParseMessage(call.good->SerializeAsString(), out.get()).ok()) << name;
    EXPECT_EQ(out->DebugString(), call.good->DebugString());
  }
}

TEST(WireTest, TextThatIsNotUtf8IsRefusedByItsPath) {
  v1::CaptureLeadRequest request;
  request.mutable_lead()->mutable_person()->add_emails()->set_address("ada@example.com");
  request.mutable_lead()->mutable_person()->add_emails()->set_address("AAAA");
  (*request.mutable_lead()->mutable_labels())["colour"] = "BBBB";
  request.mutable_touchpoint()->set_body("CCCC");
  std::string good = request.SerializeAsString();
  auto field_of = [&](const std::string& from, const std::string& to) -> std::string {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    v1::CaptureLeadRequest out;
    absl::Status status = ParseMessage(bytes, &out);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    std::optional<domain::Fault> fault = domain::FaultOf(status);
    return fault && fault->fields.size() == 1 ? fault->fields[0].field : "";
  };
  EXPECT_EQ(field_of("AAAA",
                     "AA\xff"
                     "A"),
            "lead.person.emails[1].address");
  EXPECT_EQ(field_of("AAAA", "AA\xc3("), "lead.person.emails[1].address");
  EXPECT_EQ(field_of("BBBB", "B\xed\xa0\x80"), "lead.labels");         // a surrogate
  EXPECT_EQ(field_of("CCCC", "\xf4\x90\x80\x80"), "touchpoint.body");  // beyond U+10FFFF
  EXPECT_EQ(field_of("CCCC",
                     "\xc0\xaf"
                     "CC"),
            "touchpoint.body");                               // overlong
  EXPECT_EQ(field_of("CCCC", "CCC\xe2"), "touchpoint.body");  // cut
}

TEST(WireTest, OtherDamageIsMalformed) {
  v1::CaptureLeadRequest request;
  request.mutable_lead()->mutable_person()->set_given_name("Ada");
  std::string good = request.SerializeAsString();
  v1::CaptureLeadRequest out;
  for (const std::string& bytes :
       {good.substr(0, good.size() - 1), std::string("\xff\xff\xff\xff\xff\xff"),
        std::string("\x0a\x05"), std::string("\x07")}) {
    absl::Status status = ParseMessage(bytes, &out);
    ASSERT_TRUE(domain::FaultOf(status).has_value());
    EXPECT_EQ(domain::FaultOf(status)->reason, "MALFORMED_MESSAGE");
  }
  EXPECT_TRUE(ParseMessage("", &out).ok());
}

TEST(WireTest, RandomDamageNeverGetsThroughUnnoticedOrCrashes) {
  Calls calls;
  std::mt19937_64 random(3);
  for (const auto& [name, call] : calls.cases()) {
    std::string good = call.good->SerializeAsString();
    if (good.empty()) continue;
    for (int i = 0; i < 300; ++i) {
      std::string bytes = good;
      for (int k = 0; k < 3; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
      std::unique_ptr<google::protobuf::Message> out(call.good->New());
      if (ParseMessage(bytes, out.get()).ok()) {
        for (const absl::Status& status : call.parse(*out)) {
          EXPECT_TRUE(status.ok() || domain::FaultOf(status).has_value());
        }
      }
    }
  }
}

TEST(WireTest, ProtobufItselfRefusesTextThatIsNotUtf8) {
  google::protobuf::LogSilencer quiet;
  v1::GetLeadRequest request;
  EXPECT_FALSE(request.ParseFromString("\x0a\x02\xff\xfe"));
  EXPECT_TRUE(request.ParseFromString("\x0a\x02\xc3\xa9"));
}

// ---- Size -------------------------------------------------------------------------------------

TEST(ResponseBudgetTest, StopsBeforeTheLimitButNeverAtNothing) {
  v1::Lead lead;
  lead.set_disqualify_reason(std::string(1000, 'x'));
  ResponseBudget budget;
  v1::ListLeadsResponse response;
  while (budget.Take(lead)) *response.add_leads() = lead;
  response.set_next_page_token(std::string(1500, 't'));
  EXPECT_LE(response.ByteSizeLong(), kMaxResponseBytes + 2048);
  EXPECT_GT(response.ByteSizeLong(), kMaxResponseBytes - 16 * 1024);

  ResponseBudget small(10);
  EXPECT_TRUE(small.Take(lead));
  EXPECT_FALSE(small.Take(v1::Lead()));
}

}  // namespace
}  // namespace relais::convert
