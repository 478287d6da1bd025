// Streams: the feed, imports, exports, operations.
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kImport[] = "imports/0190aaaa-0000-7000-8000-0000000000ff";

class StreamTest : public ServiceTest {
 protected:
  // A watch in progress.
  class Watching {
   public:
    Watching(TestServer& server, const v1::WatchRequest& request) {
      SetPatience(context_);
      reader_ = server.events().Watch(&context_, request);
    }
    // The next message; the test fails when there is none.
    v1::WatchResponse Next() {
      v1::WatchResponse response;
      EXPECT_TRUE(reader_->Read(&response));
      return response;
    }
    v1::Event NextEvent() {
      v1::WatchResponse response = Next();
      while (!response.has_event() && response.has_heartbeat_time()) response = Next();
      return response.event();
    }
    grpc::Status Finish() {
      v1::WatchResponse response;
      while (reader_->Read(&response)) {
      }
      return reader_->Finish();
    }
    grpc::Status Cancel() {
      context_.TryCancel();
      return Finish();
    }

   private:
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader_;
  };

  // A chunk of captures with rows from..to, known by an external touchpoint id.
  v1::ImportRowsRequest Chunk(int from, int to, bool complete = false) {
    v1::ImportRowsRequest chunk;
    chunk.set_name(kImport);
    chunk.set_display_name("leads.csv");
    chunk.set_complete(complete);
    chunk.set_return_results(true);
    for (int i = from; i <= to; ++i) {
      v1::ImportRow* row = chunk.add_rows();
      row->set_row(i);
      *row->mutable_capture()->mutable_lead() =
          server.CaptureOf(Concat("p", i, "@example.com")).lead();
      v1::Touchpoint* touchpoint = row->mutable_capture()->mutable_touchpoint();
      touchpoint->set_kind(v1::TOUCHPOINT_KIND_FORM);
      touchpoint->set_source("csv");
      touchpoint->set_external_id(Concat("row-", i));
    }
    return chunk;
  }
};
RELAIS_ON_BOTH_ENGINES(StreamTest);

TEST_P(StreamTest, TheFeedIsGaplessAndGoesOnWithWhatIsNew) {
  server.Capture("ana@example.com");
  int64_t head = server.AllEvents().back().number();
  Watching watching(server, {});
  for (int64_t number = 1; number <= head; ++number) {
    EXPECT_EQ(watching.NextEvent().number(), number);
  }
  v1::Lead lead = server.Capture("bo@example.com");
  v1::Event event = watching.NextEvent();
  EXPECT_EQ(event.number(), head + 1);
  EXPECT_EQ(event.lead(), lead.name());
  EXPECT_EQ(event.trigger(), "CaptureLead");
  EXPECT_EQ(event.actor(), "anonymous");
  EXPECT_EQ(watching.Cancel().error_code(), StatusCode::CANCELLED);
}

TEST_P(StreamTest, AResumeTokenGoesOnBehindItsEvent) {
  for (int i = 0; i < 5; ++i) server.Capture(Concat("p", i, "@example.com"));
  std::vector<v1::Event> all = server.AllEvents();
  v1::WatchRequest request;
  std::vector<int64_t> seen;
  for (size_t i = 0; i < all.size(); ++i) {
    Watching watching(server, request);
    v1::WatchResponse response = watching.Next();
    seen.push_back(response.number());
    request.set_resume_token(response.resume_token());
    watching.Cancel();
    if (i == 2) server.Restart();
  }
  std::vector<int64_t> expected;
  for (const v1::Event& event : all) expected.push_back(event.number());
  EXPECT_EQ(seen, expected);
}

TEST_P(StreamTest, ATokenOfAnotherHistoryIsRefused) {
  server.Capture("ana@example.com");
  TestServer other(GetParam());
  other.clock().Advance(1);
  other.Capture("somebody.else@example.com");
  v1::WatchRequest request;
  request.set_resume_token(other.AllEvents().back().resume_token());
  Watching forked(server, request);
  Refusal refusal = ReadRefusal(forked.Finish());
  EXPECT_EQ(refusal.code, StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(refusal.reason, "HISTORY_CHANGED");

  request.clear_resume_token();
  request.set_after_number(1'000'000);
  Watching beyond(server, request);
  EXPECT_EQ(ReadRefusal(beyond.Finish()).reason, "HISTORY_CHANGED");

  request.set_after_number(0);
  request.set_resume_token("nonsense");
  Watching nonsense(server, request);
  EXPECT_EQ(ReadRefusal(nonsense.Finish()).code, StatusCode::INVALID_ARGUMENT);
}

TEST_P(StreamTest, AFilterLetsThroughWhatItNamesAndTellsHowFarItLooked) {
  v1::Lead lead = server.Capture("ana@example.com");
  server.Qualify(lead.name());
  server.Capture("bo@example.com");
  v1::WatchRequest request;
  request.set_filter("type = LEAD_TRANSITIONED");
  request.set_until_now(true);
  Watching watching(server, request);
  EXPECT_EQ(watching.Next().event().type(), v1::EVENT_TYPE_LEAD_TRANSITIONED);
  v1::WatchResponse last = watching.Next();
  EXPECT_FALSE(last.has_event());
  std::vector<v1::Event> all = server.AllEvents();
  EXPECT_EQ(last.number(), all.back().number());
  EXPECT_EQ(last.resume_token(), all.back().resume_token());
  EXPECT_TRUE(watching.Finish().ok());

  request.set_filter("person.given_name = \"Ana\"");
  Watching personal(server, request);
  EXPECT_EQ(ReadRefusal(personal.Finish()).reason, "INVALID_FILTER");
}

TEST_P(StreamTest, OnlyWhatComesNowBeginsAtTheHead) {
  server.Capture("ana@example.com");
  int64_t head = server.AllEvents().back().number();
  v1::WatchRequest request;
  request.set_after_number(-1);
  request.set_until_now(true);
  Watching nothing(server, request);
  EXPECT_EQ(nothing.Next().number(), head);
  EXPECT_TRUE(nothing.Finish().ok());
}

TEST_P(StreamTest, AnEmptyFeedAnswersItsBeginning) {
  v1::WatchRequest request;
  request.set_until_now(true);
  Watching watching(server, request);
  v1::WatchResponse only = watching.Next();
  EXPECT_EQ(only.number(), 0);
  EXPECT_TRUE(watching.Finish().ok());
  request.set_resume_token(only.resume_token());
  server.Capture("ana@example.com");
  Watching resumed(server, request);
  EXPECT_EQ(resumed.Next().event().number(), 1);
  EXPECT_TRUE(resumed.Finish().ok());
}

TEST_P(StreamTest, AnImportCommitsChunkByChunkAndResumes) {
  grpc::ClientContext context;
  SetPatience(context);
  auto stream = server.imports().ImportLeads(&context);
  v1::ImportRowsResponse answer;
  ASSERT_TRUE(stream->Write(Chunk(1, 3)));
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.import().committed_row(), 3);
  EXPECT_EQ(answer.import().rows_done(), 3);
  ASSERT_TRUE(stream->Write(Chunk(4, 5)));
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.import().committed_row(), 5);
  EXPECT_EQ(answer.import().state(), v1::IMPORT_STATE_RUNNING);
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&answer));
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_EQ(TrailersOf(context).at("relais-position"), Concat(server.AllEvents().back().number()));

  // A chunk that was sent before is answered without a second effect.
  std::string before = server.Contents();
  auto again = Call(server.imports(), &v1::ImportService::Stub::ImportRows, Chunk(4, 5));
  ASSERT_TRUE(again.ok()) << again.status.error_message();
  for (const auto& result : again.message.results()) {
    EXPECT_EQ(result.outcome(), v1::IMPORT_ROW_OUTCOME_UNCHANGED);
  }
  EXPECT_EQ(again.message.import().committed_row(), 5);
  EXPECT_EQ(server.Contents(), before);

  auto last = Call(server.imports(), &v1::ImportService::Stub::ImportRows, Chunk(6, 6, true));
  ASSERT_TRUE(last.ok()) << last.status.error_message();
  EXPECT_EQ(last.message.import().state(), v1::IMPORT_STATE_COMPLETED);
  auto ended = Call(server.imports(), &v1::ImportService::Stub::ImportRows, Chunk(7, 7));
  EXPECT_EQ(ended.refusal().code, StatusCode::FAILED_PRECONDITION);

  v1::GetImportRequest get;
  get.set_name(kImport);
  v1::Import import = Call(server.imports(), &v1::ImportService::Stub::GetImport, get).message;
  EXPECT_EQ(import.rows_done(), 6);
  EXPECT_THAT(Call(server.imports(), &v1::ImportService::Stub::ListImports, {}).message.imports(),
              SizeIs(1));
  v1::GetOperationRequest operation;
  operation.set_name(import.operation());
  EXPECT_EQ(Call(server.operations(), &v1::OperationsService::Stub::GetOperation, operation)
                .message.state(),
            v1::OPERATION_STATE_SUCCEEDED);
}

TEST_P(StreamTest, ARefusedRowDoesNotStopTheOthers) {
  v1::ImportRowsRequest chunk = Chunk(1, 3);
  chunk.set_return_results(false);
  chunk.mutable_rows(1)->mutable_capture()->mutable_lead()->mutable_person()->set_country("XX");
  auto answer = Call(server.imports(), &v1::ImportService::Stub::ImportRows, chunk);
  ASSERT_TRUE(answer.ok()) << answer.status.error_message();
  ASSERT_THAT(answer.message.results(), SizeIs(1));
  EXPECT_EQ(answer.message.results(0).row(), 2);
  EXPECT_EQ(answer.message.results(0).status().code(), 3);
  EXPECT_EQ(answer.message.import().rows_failed(), 1);
  EXPECT_EQ(answer.message.import().rows_done(), 2);
}

TEST_P(StreamTest, AChunkThatIsNoChunkEndsTheStreamWithItsFault) {
  grpc::ClientContext context;
  SetPatience(context);
  auto stream = server.imports().ImportLeads(&context);
  v1::ImportRowsRequest bad = Chunk(1, 1);
  bad.set_name("imports/1");
  ASSERT_TRUE(stream->Write(bad));
  v1::ImportRowsResponse answer;
  EXPECT_FALSE(stream->Read(&answer));
  Refusal refusal = ReadRefusal(stream->Finish());
  EXPECT_EQ(refusal.code, StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refusal.fields, ElementsAre("name"));
}

TEST_P(StreamTest, AnImportedLifeGoesThroughEveryKindOfRow) {
  v1::ImportRowsRequest chunk;
  chunk.set_name(kImport);
  chunk.set_return_results(true);
  chunk.set_complete(true);
  auto at = [](google::protobuf::Timestamp* time, int64_t day) {
    time->set_seconds(1'700'000'000 + day * 86'400);
  };
  auto known = [](v1::LeadReference* lead) {
    lead->mutable_external_id()->set_system("crm");
    lead->mutable_external_id()->set_id("77");
  };
  v1::ImportRow* row = chunk.add_rows();
  row->set_row(1);
  v1::Lead* lead = row->mutable_capture()->mutable_lead();
  *lead = server.CaptureOf("ana@example.com").lead();
  lead->add_external_ids()->set_system("crm");
  lead->mutable_external_ids(0)->set_id("77");
  row->mutable_capture()->mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_FORM);
  row->mutable_capture()->mutable_touchpoint()->set_source("crm");
  row->mutable_capture()->mutable_touchpoint()->set_external_id("t1");
  at(row->mutable_capture()->mutable_touchpoint()->mutable_occur_time(), 0);
  row = chunk.add_rows();
  row->set_row(2);
  known(row->mutable_touchpoint()->mutable_lead());
  row->mutable_touchpoint()->mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_MEETING);
  row->mutable_touchpoint()->mutable_touchpoint()->set_source("crm");
  row->mutable_touchpoint()->mutable_touchpoint()->set_external_id("t2");
  at(row->mutable_touchpoint()->mutable_touchpoint()->mutable_occur_time(), 1);
  row = chunk.add_rows();
  row->set_row(3);
  known(row->mutable_qualification()->mutable_lead());
  *row->mutable_qualification()->mutable_assessment() = server.AssessmentOf("").assessment();
  row->mutable_qualification()->mutable_assessment()->clear_source();
  at(row->mutable_qualification()->mutable_assessment()->mutable_occur_time(), 2);
  row->mutable_qualification()->set_qualify(true);
  row = chunk.add_rows();
  row->set_row(4);
  known(row->mutable_opportunity()->mutable_lead());
  v1::Opportunity* opportunity = row->mutable_opportunity()->mutable_opportunity();
  opportunity->set_intention("asked for an offer");
  opportunity->add_external_ids()->set_system("crm");
  opportunity->mutable_external_ids(0)->set_id("o1");
  at(row->mutable_opportunity()->mutable_occur_time(), 3);
  row = chunk.add_rows();
  row->set_row(5);
  row->mutable_close()->mutable_opportunity()->set_system("crm");
  row->mutable_close()->mutable_opportunity()->set_id("o1");
  row->mutable_close()->set_outcome(v1::CLOSE_OUTCOME_WON);
  at(row->mutable_close()->mutable_occur_time(), 10);

  auto answer = Call(server.imports(), &v1::ImportService::Stub::ImportRows, chunk);
  ASSERT_TRUE(answer.ok()) << answer.status.error_message();
  for (const auto& result : answer.message.results()) {
    EXPECT_EQ(result.outcome(), v1::IMPORT_ROW_OUTCOME_DONE) << result.ShortDebugString();
  }
  auto funnel = Call(server.insight(), &v1::InsightService::Stub::GetFunnel, {}).message;
  EXPECT_EQ(funnel.total().reached_customer(), 1);
  EXPECT_EQ(funnel.total().cycle().median_days(), 10);

  // The same file as another import changes nothing but the import itself.
  chunk.set_name("imports/0190aaaa-0000-7000-8000-0000000000fe");
  auto twice = Call(server.imports(), &v1::ImportService::Stub::ImportRows, chunk);
  ASSERT_TRUE(twice.ok()) << twice.status.error_message();
  for (const auto& result : twice.message.results()) {
    EXPECT_EQ(result.outcome(), v1::IMPORT_ROW_OUTCOME_UNCHANGED) << result.ShortDebugString();
  }
}

TEST_P(StreamTest, AnExportHoldsEveryLeadThatMatchesInOrder) {
  for (int chunk = 0; chunk < 3; ++chunk) {
    v1::BatchCaptureLeadsRequest batch;
    for (int i = 0; i < 400; ++i) {
      *batch.add_requests() = server.CaptureOf(Concat("p", chunk * 400 + i, "@example.com"));
    }
    ASSERT_TRUE(Call(server.leads(), &v1::LeadService::Stub::BatchCaptureLeads, batch).ok());
    server.clock().Advance(1'000'000);
  }
  auto read = [this](const std::string& filter) {
    grpc::ClientContext context;
    SetPatience(context);
    v1::ExportLeadsRequest request;
    request.set_filter(filter);
    auto reader = server.imports().ExportLeads(&context, request);
    std::vector<std::string> names;
    v1::ExportLeadsResponse part;
    google::protobuf::Timestamp last;
    while (reader->Read(&part)) {
      for (const v1::Lead& lead : part.leads()) {
        EXPECT_LE(last.seconds(), lead.create_time().seconds());
        last = lead.create_time();
        names.push_back(lead.name());
      }
      EXPECT_EQ(part.sent(), static_cast<int64_t>(names.size()));
    }
    EXPECT_TRUE(reader->Finish().ok());
    return names;
  };
  std::vector<std::string> all = read("");
  EXPECT_EQ(all.size(), 1200U);
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 1200U);
  EXPECT_THAT(read("stage = CUSTOMER"), IsEmpty());
  grpc::ClientContext context;
  v1::ExportLeadsRequest bad;
  bad.set_filter("nonsense");
  EXPECT_EQ(ReadRefusal(server.imports().ExportLeads(&context, bad)->Finish()).reason,
            "INVALID_FILTER");
}

TEST_P(StreamTest, AnOperationIsFollowedToItsEnd) {
  ASSERT_TRUE(Call(server.imports(), &v1::ImportService::Stub::ImportRows, Chunk(1, 2)).ok());
  v1::GetImportRequest get;
  get.set_name(kImport);
  std::string name =
      Call(server.imports(), &v1::ImportService::Stub::GetImport, get).message.operation();
  v1::WatchOperationRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  SetPatience(context);
  auto reader = server.operations().WatchOperation(&context, request);
  v1::Operation operation;
  ASSERT_TRUE(reader->Read(&operation));
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_RUNNING);
  EXPECT_EQ(operation.rows_read(), 2);
  v1::CancelOperationRequest cancel;
  cancel.set_name(name);
  auto cancelled = Call(server.operations(), &v1::OperationsService::Stub::CancelOperation, cancel);
  ASSERT_TRUE(cancelled.ok()) << cancelled.status.error_message();
  while (reader->Read(&operation)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(operation.state(), v1::OPERATION_STATE_CANCELLED);
  auto refused = Call(server.imports(), &v1::ImportService::Stub::ImportRows, Chunk(3, 3));
  EXPECT_EQ(refused.refusal().code, StatusCode::FAILED_PRECONDITION);

  grpc::ClientContext unknown;
  request.set_name("operations/01940000-ffff-7000-8000-000000000000");
  EXPECT_EQ(server.operations().WatchOperation(&unknown, request)->Finish().error_code(),
            StatusCode::NOT_FOUND);
}

TEST_P(StreamTest, ManyWatchersSeeTheSameEvents) {
  constexpr int kWatchers = 20;
  std::vector<std::unique_ptr<Watching>> watchers;
  for (int i = 0; i < kWatchers; ++i) {
    watchers.push_back(std::make_unique<Watching>(server, v1::WatchRequest()));
  }
  std::thread writer([this] {
    for (int i = 0; i < 10; ++i) server.Capture(Concat("p", i, "@example.com"));
  });
  for (auto& watching : watchers) {
    for (int64_t number = 1; number <= 20; ++number) {
      EXPECT_EQ(watching->NextEvent().number(), number);
    }
  }
  writer.join();
  for (auto& watching : watchers) watching->Cancel();
}

class QuietStreamTest : public ::testing::TestWithParam<Engine> {};
RELAIS_ON_BOTH_ENGINES(QuietStreamTest);

TEST_P(QuietStreamTest, ASilentStreamSaysThatItLives) {
  TestServer server(GetParam(), [](runtime::Options&, ServerParts& parts) {
    parts.feed.heartbeat = std::chrono::milliseconds(30);
  });
  server.Capture("ana@example.com");
  v1::WatchRequest request;
  request.set_filter("type = USER_CHANGED");
  grpc::ClientContext context;
  SetPatience(context);
  auto reader = server.events().Watch(&context, request);
  v1::WatchResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_FALSE(response.has_event());
    EXPECT_TRUE(response.has_heartbeat_time());
  }
  EXPECT_EQ(response.number(), server.AllEvents().back().number());
  EXPECT_EQ(response.resume_token(), server.AllEvents().back().resume_token());
  context.TryCancel();
  reader->Finish();
}

TEST_P(QuietStreamTest, WatchersBeyondTheLimitAreSentAway) {
  TestServer server(GetParam(), [](runtime::Options& options, ServerParts& parts) {
    options.max_watchers = 1;
    parts.feed.heartbeat = std::chrono::milliseconds(30);
  });
  grpc::ClientContext first, second;
  SetPatience(first);
  SetPatience(second);
  auto held = server.events().Watch(&first, {});
  v1::WatchResponse response;
  ASSERT_TRUE(held->Read(&response));
  auto refused = server.events().Watch(&second, {});
  EXPECT_FALSE(refused->Read(&response));
  Refusal refusal = ReadRefusal(refused->Finish());
  EXPECT_EQ(refusal.code, StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refusal.reason, "OVERLOADED");
  EXPECT_TRUE(refusal.has_retry);
  EXPECT_EQ(refusal.retry_millis, 5000);
  EXPECT_EQ(TrailersOf(second).at("grpc-retry-pushback-ms"), "5000");
  first.TryCancel();
  held->Finish();
}

}  // namespace
}  // namespace relais::testing
