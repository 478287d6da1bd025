#include "server/domain/faults.h"

#include <random>
#include <string>

#include "absl/strings/cord.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

void ExpectSame(const Fault& a, const Fault& b) {
  EXPECT_EQ(a.code, b.code);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.message, b.message);
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.fields.size(), b.fields.size());
  for (size_t i = 0; i < a.fields.size(); ++i) {
    EXPECT_EQ(a.fields[i].field, b.fields[i].field);
    EXPECT_EQ(a.fields[i].description, b.fields[i].description);
  }
  ASSERT_EQ(a.preconditions.size(), b.preconditions.size());
  for (size_t i = 0; i < a.preconditions.size(); ++i) {
    EXPECT_EQ(a.preconditions[i].type, b.preconditions[i].type);
    EXPECT_EQ(a.preconditions[i].subject, b.preconditions[i].subject);
    EXPECT_EQ(a.preconditions[i].description, b.preconditions[i].description);
  }
  EXPECT_EQ(a.resource_type, b.resource_type);
  EXPECT_EQ(a.resource_name, b.resource_name);
  EXPECT_EQ(a.retry_after_millis, b.retry_after_millis);
}

TEST(FaultTest, EveryFaultComesBackFromItsStatusWhateverItsTextsHold) {
  std::mt19937 random(4);
  auto text = [&] {
    // Separators, digits and NUL of the payload's own spelling among them.
    static constexpr char kBytes[] = {':', '0', '1', '9', '\0', '\n', 'a', '"', '\xC3', '\xA9'};
    std::string out;
    for (unsigned n = random() % 12; n > 0; --n) out += kBytes[random() % sizeof kBytes];
    return out;
  };
  for (int i = 0; i < 2'000; ++i) {
    Fault fault;
    fault.code = static_cast<absl::StatusCode>(1 + random() % 16);
    fault.reason = text();
    fault.message = text();
    for (unsigned n = random() % 4; n > 0; --n) fault.metadata[text()] = text();
    for (unsigned n = random() % 4; n > 0; --n) fault.fields.push_back({text(), text()});
    for (unsigned n = random() % 4; n > 0; --n) {
      fault.preconditions.push_back({text(), text(), text()});
    }
    fault.resource_type = text();
    fault.resource_name = text();
    if (random() % 2) fault.retry_after_millis = static_cast<int64_t>(random());
    std::optional<Fault> back = FaultOf(ToStatus(fault));
    ASSERT_TRUE(back.has_value());
    ExpectSame(*back, fault);
  }
}

TEST(FaultTest, StatusesFromElsewhereHoldNoFault) {
  EXPECT_FALSE(FaultOf(absl::OkStatus()).has_value());
  EXPECT_FALSE(FaultOf(absl::NotFoundError("x")).has_value());
}

TEST(FaultTest, ADamagedPayloadIsReadWithoutHarm) {
  std::string whole(*PreconditionFailed("REASON", "message", {{"A", "b", "c"}, {"D", "e", "f"}})
                         .GetPayload("relais.fault"));
  for (size_t length = 0; length <= whole.size(); ++length) {
    absl::Status status = absl::InternalError("x");
    status.SetPayload("relais.fault", absl::Cord(whole.substr(0, length)));
    std::optional<Fault> fault = FaultOf(status);
    ASSERT_TRUE(fault.has_value());
    EXPECT_LE(fault->preconditions.size(), 2u);
  }
}

TEST(FaultTest, TheCatalogueHasTheCodesAndReasonsThatClientsBranchOn) {
  struct Case {
    absl::Status status;
    absl::StatusCode code;
    const char* reason;
  };
  for (const Case& c : {
           Case{InvalidField("a", "b"), absl::StatusCode::kInvalidArgument, "INVALID_FIELD"},
           Case{InvalidFilter("filter", 1, 2, "m"), absl::StatusCode::kInvalidArgument,
                "INVALID_FILTER"},
           Case{InvalidPageToken(), absl::StatusCode::kInvalidArgument, "INVALID_PAGE_TOKEN"},
           Case{NotFound("Lead", "leads/x"), absl::StatusCode::kNotFound, "NOT_FOUND"},
           Case{RequestIdReused("r"), absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED"},
           Case{Taken("f", "Lead", "leads/x"), absl::StatusCode::kAlreadyExists, "ALREADY_EXISTS"},
           Case{PreconditionFailed("WHY", "m", {}), absl::StatusCode::kFailedPrecondition, "WHY"},
           Case{StaleEtag("leads/x", "a", "b"), absl::StatusCode::kAborted, "ETAG_MISMATCH"},
           Case{HistoryChanged(), absl::StatusCode::kOutOfRange, "HISTORY_CHANGED"},
           Case{Overloaded(5), absl::StatusCode::kResourceExhausted, "OVERLOADED"},
           Case{StorageUnavailable(5), absl::StatusCode::kUnavailable, "STORAGE_UNAVAILABLE"},
           Case{OutcomeUnknown(), absl::StatusCode::kUnavailable, "OUTCOME_UNKNOWN"},
           Case{Expired(), absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED"},
           Case{InternalFault("x"), absl::StatusCode::kInternal, "INTERNAL"},
       }) {
    EXPECT_EQ(c.status.code(), c.code) << c.reason;
    EXPECT_EQ(ReasonOf(c.status), c.reason);
  }
}

TEST(FaultTest, EveryViolationIsCarriedAndTheMessageCountsThem) {
  absl::Status status = InvalidFields({{"lead.market", "must be said"}, {"page_size", "negative"}});
  EXPECT_THAT(FieldsIn(status), ElementsAre("lead.market", "page_size"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("lead.market: must be said (and 1 more)"));
}

TEST(FaultTest, AFilterErrorTellsItsPlace) {
  Fault fault = *FaultOf(InvalidFilter("filter", 3, 14, "expected a value"));
  EXPECT_THAT(fault.metadata, ElementsAre(Pair("column", "14"), Pair("line", "3")));
  ASSERT_EQ(fault.fields.size(), 1u);
  EXPECT_EQ(fault.fields[0].description, "line 3, column 14: expected a value");
}

TEST(FaultTest, ResourcesAreNamedWhereThereIsOne) {
  Fault missing = *FaultOf(NotFound("Lead", "leads/x"));
  EXPECT_EQ(missing.resource_type, "Lead");
  EXPECT_EQ(missing.resource_name, "leads/x");
  Fault taken = *FaultOf(Taken("user.email", "User", "users/y"));
  EXPECT_EQ(taken.resource_name, "users/y");
  EXPECT_EQ(taken.metadata.at("field"), "user.email");
}

TEST(FaultTest, WhatCanBeRetriedSaysWhen) {
  EXPECT_EQ(FaultOf(Overloaded(250))->retry_after_millis, 250);
  EXPECT_EQ(FaultOf(StorageUnavailable(0))->retry_after_millis, 0);
  EXPECT_TRUE(FaultOf(OutcomeUnknown())->retry_after_millis.has_value());
  EXPECT_FALSE(FaultOf(Expired())->retry_after_millis.has_value());
}

TEST(EtagTest, AnEmptyOrEqualEtagPassesAndAnotherIsAborted) {
  EXPECT_TRUE(CheckEtag("leads/x", "", 7).ok());
  EXPECT_TRUE(CheckEtag("leads/x", EtagOf(7), 7).ok());
  for (const char* stale : {"\"6\"", "7", "\"07\"", "\"7", "x"}) {
    absl::Status status = CheckEtag("leads/x", stale, 7);
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << stale;
    EXPECT_EQ(FaultOf(status)->metadata.at("actual"), EtagOf(7));
    EXPECT_EQ(FaultOf(status)->metadata.at("expected"), stale);
  }
}

}  // namespace
}  // namespace relais::domain
