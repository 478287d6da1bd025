// Reading: pages, search, and the past.
#include <set>
#include <string>
#include <vector>

#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ListTest : public ServiceTest {
 protected:
  // All pages of `size`, and how many there were.
  std::vector<std::string> Pages(v1::ListLeadsRequest request, int size, int* pages = nullptr) {
    std::vector<std::string> names;
    request.set_page_size(size);
    int count = 0;
    do {
      auto answer = Call(server.leads(), &v1::LeadService::Stub::ListLeads, request);
      EXPECT_TRUE(answer.ok()) << answer.status.error_message();
      EXPECT_LE(answer.message.leads_size(), size);
      for (const v1::Lead& lead : answer.message.leads()) {
        names.push_back(lead.person().emails(0).address());
      }
      request.set_page_token(answer.message.next_page_token());
      ++count;
    } while (!request.page_token().empty() && count < 100);
    if (pages != nullptr) *pages = count;
    return names;
  }
  std::vector<std::string> Search(const std::string& query) {
    v1::SearchLeadsRequest request;
    request.set_query(query);
    auto answer = Call(server.leads(), &v1::LeadService::Stub::SearchLeads, request);
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    std::vector<std::string> names;
    for (const auto& result : answer.message.results()) {
      names.push_back(result.lead().person().emails(0).address());
    }
    return names;
  }
};
RELAIS_ON_BOTH_ENGINES(ListTest);

TEST_P(ListTest, PagesShowEveryLeadOnceAlsoWhileOthersCome) {
  std::set<std::string> expected;
  for (int i = 0; i < 7; ++i) {
    std::string email = Concat("p", i, "@example.com");
    server.Capture(email);  // at one moment: ties are ordered by name
    expected.insert(email);
  }
  int pages = 0;
  std::vector<std::string> seen = Pages({}, 3, &pages);
  EXPECT_EQ(pages, 3);
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()), expected);
  EXPECT_EQ(seen.size(), expected.size());

  v1::ListLeadsRequest request;
  request.set_page_size(3);
  auto first = Call(server.leads(), &v1::LeadService::Stub::ListLeads, request).message;
  server.clock().Advance(1'000'000);
  server.Capture("late@example.com");
  request.set_page_token(first.next_page_token());
  std::vector<std::string> rest = Pages(request, 100);
  EXPECT_THAT(rest, SizeIs(5)) << "four that were left and the one that came";
  EXPECT_EQ(rest.back(), "late@example.com");
}

TEST_P(ListTest, OrdersAndFiltersHoldAcrossPages) {
  for (const char* name : {"Cruz", "Abel", "Brun"}) {
    v1::CaptureLeadRequest capture = server.CaptureOf(Concat(name, "@example.com"));
    capture.mutable_lead()->mutable_person()->set_family_name(name);
    ASSERT_TRUE(Call(server.leads(), &v1::LeadService::Stub::CaptureLead, capture).ok());
  }
  v1::ListLeadsRequest request;
  request.set_order_by("person.family_name desc");
  EXPECT_THAT(Pages(request, 1),
              ElementsAre("cruz@example.com", "brun@example.com", "abel@example.com"));
  request.set_filter("person.family_name != \"Brun\" AND stage = LEAD");
  EXPECT_THAT(Pages(request, 1), ElementsAre("cruz@example.com", "abel@example.com"));
  request.set_filter("count(touchpoints, kind = FORM) >= 2");
  EXPECT_THAT(Pages(request, 1), IsEmpty());
}

TEST_P(ListTest, APageStopsAtThreeMebibytes) {
  // 300 notes of 16 KB are more than 4 MiB.
  v1::Lead lead = server.Capture("ana@example.com");
  v1::BatchRecordTouchpointsRequest batch;
  for (int i = 0; i < 100; ++i) {
    v1::RecordTouchpointRequest* item = batch.add_requests();
    item->set_parent(lead.name());
    item->mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_NOTE);
    item->mutable_touchpoint()->set_body(std::string(16'000, 'n'));
  }
  for (int i = 0; i < 3; ++i) {
    auto recorded = Call(server.leads(), &v1::LeadService::Stub::BatchRecordTouchpoints, batch);
    ASSERT_TRUE(recorded.ok()) << recorded.status.error_message();
  }
  v1::ListTouchpointsRequest list;
  list.set_parent(lead.name());
  list.set_page_size(1000);
  int64_t seen = 0;
  int pages = 0;
  do {
    auto page = Call(server.leads(), &v1::LeadService::Stub::ListTouchpoints, list);
    ASSERT_TRUE(page.ok()) << page.status.error_message();
    EXPECT_LE(page.message.ByteSizeLong(), 3U * 1024 * 1024 + 64);
    seen += page.message.touchpoints_size();
    list.set_page_token(page.message.next_page_token());
    ++pages;
  } while (!list.page_token().empty());
  EXPECT_EQ(seen, 301);
  EXPECT_EQ(pages, 2);
}

TEST_P(ListTest, WordsFindLeadsByBeginningAndForgiveASlip) {
  server.Capture("ana@example.com");
  v1::CaptureLeadRequest other = server.CaptureOf("zoe@sample.org");
  other.mutable_lead()->mutable_person()->set_given_name("Zo\xC3\xAB");
  other.mutable_lead()->mutable_person()->set_family_name("Lefebvre");
  other.mutable_lead()->mutable_person()->set_country("FR");
  other.mutable_lead()->mutable_person()->add_phones()->set_raw("06 12 34 56 78");
  other.mutable_lead()->mutable_organization()->set_display_name("Brasserie du Port");
  auto captured = Call(server.leads(), &v1::LeadService::Stub::CaptureLead, other);
  ASSERT_TRUE(captured.ok()) << captured.status.error_message();
  ASSERT_TRUE(server.server().search_index().DrainForTest().ok());

  EXPECT_THAT(Search("lefeb"), ElementsAre("zoe@sample.org"));
  EXPECT_THAT(Search("ZOE"), ElementsAre("zoe@sample.org"));
  EXPECT_THAT(Search("lefevbre"), ElementsAre("zoe@sample.org"));
  EXPECT_THAT(Search("brasserie zoe"), ElementsAre("zoe@sample.org"));
  EXPECT_THAT(Search("0612345678"), ElementsAre("zoe@sample.org"));
  EXPECT_THAT(Search("+33612345678"), ElementsAre("zoe@sample.org"));
  EXPECT_THAT(Search("ana@exam"), ElementsAre("ana@example.com"));
  EXPECT_THAT(Search("nobody"), IsEmpty());

  v1::UpdateLeadRequest update;
  update.mutable_lead()->set_name(captured.message.lead().name());
  update.mutable_lead()->mutable_person()->set_family_name("Martin");
  update.mutable_update_mask()->add_paths("person.family_name");
  ASSERT_TRUE(Call(server.leads(), &v1::LeadService::Stub::UpdateLead, update).ok());
  ASSERT_TRUE(server.server().search_index().DrainForTest().ok());
  EXPECT_THAT(Search("martin"), ElementsAre("zoe@sample.org"));
  EXPECT_THAT(Search("lefebvre"), IsEmpty()) << "the old name is forgotten";
}

TEST_P(ListTest, SearchHasPagesToo) {
  for (int i = 0; i < 5; ++i) server.Capture(Concat("p", i, "@example.com"));
  ASSERT_TRUE(server.server().search_index().DrainForTest().ok());
  v1::SearchLeadsRequest request;
  request.set_query("durand");
  request.set_page_size(2);
  std::set<std::string> seen;
  int pages = 0;
  do {
    auto answer = Call(server.leads(), &v1::LeadService::Stub::SearchLeads, request);
    ASSERT_TRUE(answer.ok()) << answer.status.error_message();
    for (const auto& result : answer.message.results()) {
      EXPECT_EQ(result.relevance(), 1000);
      EXPECT_TRUE(seen.insert(result.lead().name()).second);
    }
    request.set_page_token(answer.message.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(seen.size(), 5U);
  EXPECT_EQ(pages, 3);
}

// Copies are taken along a life; later each is asked for again by the time it was taken.
TEST_P(ListTest, APastStateIsTheCopyThatWasTakenThen) {
  struct Taken {
    google::protobuf::Timestamp time;
    v1::Lead lead;
    v1::Score score;
  };
  std::vector<Taken> copies;
  std::string name = server.Capture("ana@example.com").name();
  auto take = [&] {
    Taken taken;
    taken.time = server.AllEvents().back().record_time();
    taken.lead = server.GetLead(name).message;
    v1::ScoreLeadRequest score;
    score.set_name(name);
    *score.mutable_read_time() = taken.time;
    taken.score =
        Call(server.qualification(), &v1::QualificationService::Stub::ScoreLead, score).message;
    EXPECT_EQ(taken.score.score(), taken.lead.score());
    copies.push_back(std::move(taken));
    server.clock().AdvanceDays(3);
  };
  take();
  v1::RecordTouchpointRequest demo;
  demo.set_parent(name);
  demo.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_DEMO_REQUEST);
  ASSERT_TRUE(Call(server.leads(), &v1::LeadService::Stub::RecordTouchpoint, demo).ok());
  take();
  v1::UpdateLeadRequest update;
  update.mutable_lead()->set_name(name);
  update.mutable_lead()->mutable_person()->set_job_title("Director");
  update.mutable_lead()->mutable_organization()->set_headcount(120);
  ASSERT_TRUE(Call(server.leads(), &v1::LeadService::Stub::UpdateLead, update).ok());
  take();
  server.Qualify(name);
  take();
  v1::Opportunity opportunity = server.Open(name);
  take();
  server.Win(opportunity.name());
  take();

  for (const Taken& taken : copies) {
    auto then = server.GetLead(name, taken.time);
    ASSERT_TRUE(then.ok()) << then.status.error_message();
    EXPECT_EQ(then.message.DebugString(), taken.lead.DebugString());
    v1::ScoreLeadRequest score;
    score.set_name(name);
    *score.mutable_read_time() = taken.time;
    EXPECT_EQ(Call(server.qualification(), &v1::QualificationService::Stub::ScoreLead, score)
                  .message.DebugString(),
              taken.score.DebugString());
    v1::ExplainScoreRequest explain;
    explain.set_name(name);
    *explain.mutable_read_time() = taken.time;
    auto explained =
        Call(server.qualification(), &v1::QualificationService::Stub::ExplainScore, explain);
    EXPECT_EQ(explained.message.score().DebugString(), taken.score.DebugString());
  }
}

TEST_P(ListTest, ThePastBeginsWithTheLeadAndEndsNow) {
  v1::Lead lead = server.Capture("ana@example.com");
  google::protobuf::Timestamp before = lead.create_time();
  before.set_seconds(before.seconds() - 1);
  EXPECT_EQ(server.GetLead(lead.name(), before).refusal().code, StatusCode::NOT_FOUND);
  google::protobuf::Timestamp future = lead.create_time();
  future.set_seconds(future.seconds() + 3600);
  auto refused = server.GetLead(lead.name(), future);
  EXPECT_EQ(refused.refusal().code, StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.refusal().fields, ElementsAre("read_time"));
}

TEST_P(ListTest, HistoryHasPagesThatCarryTheScoreAlong) {
  v1::Lead lead = server.Capture("ana@example.com");
  for (int i = 0; i < 3; ++i) {
    v1::DisqualifyLeadRequest out;
    out.set_name(lead.name());
    out.set_reason("later");
    ASSERT_TRUE(
        Call(server.qualification(), &v1::QualificationService::Stub::DisqualifyLead, out).ok());
    v1::RecycleLeadRequest back;
    back.set_name(lead.name());
    back.set_reason("now");
    ASSERT_TRUE(
        Call(server.qualification(), &v1::QualificationService::Stub::RecycleLead, back).ok());
  }
  auto read = [&](int size) {
    std::vector<std::string> steps;
    v1::ListLeadTransitionsRequest request;
    request.set_parent(lead.name());
    request.set_page_size(size);
    do {
      auto page = Call(server.leads(), &v1::LeadService::Stub::ListLeadTransitions, request);
      EXPECT_TRUE(page.ok()) << page.status.error_message();
      for (const v1::Transition& step : page.message.transitions()) {
        steps.push_back(step.ShortDebugString());
      }
      request.set_page_token(page.message.next_page_token());
    } while (!request.page_token().empty());
    return steps;
  };
  std::vector<std::string> whole = read(100);
  EXPECT_THAT(whole, SizeIs(7));
  EXPECT_EQ(read(2), whole);

  v1::ListLeadChangesRequest changes;
  changes.set_parent(lead.name());
  auto all = Call(server.leads(), &v1::LeadService::Stub::ListLeadChanges, changes).message;
  changes.set_page_size(1);
  int count = 0;
  do {
    auto page = Call(server.leads(), &v1::LeadService::Stub::ListLeadChanges, changes).message;
    count += page.changes_size();
    changes.set_page_token(page.next_page_token());
  } while (!changes.page_token().empty());
  EXPECT_EQ(count, all.changes_size());
}

TEST_P(ListTest, TheFunnelIsBrokenDown) {
  for (int i = 0; i < 3; ++i) {
    v1::CaptureLeadRequest capture = server.CaptureOf(Concat("p", i, "@example.com"));
    capture.mutable_lead()->mutable_acquisition()->set_source(i == 0 ? "fair" : "search");
    auto lead = Call(server.leads(), &v1::LeadService::Stub::CaptureLead, capture).message.lead();
    if (i == 0) {
      server.Qualify(lead.name());
      server.Win(server.Open(lead.name()).name());
    }
  }
  v1::GetFunnelRequest request;
  request.set_breakdown(v1::FUNNEL_BREAKDOWN_SOURCE);
  auto funnel = Call(server.insight(), &v1::InsightService::Stub::GetFunnel, request);
  ASSERT_TRUE(funnel.ok()) << funnel.status.error_message();
  ASSERT_THAT(funnel.message.rows(), SizeIs(2));
  EXPECT_EQ(funnel.message.rows(0).key(), "search");
  EXPECT_EQ(funnel.message.rows(0).leads(), 2);
  EXPECT_EQ(funnel.message.rows(1).reached_customer(), 1);
  EXPECT_EQ(funnel.message.total().leads(), 3);
  EXPECT_EQ(funnel.message.total().won_opportunities(), 1);
  EXPECT_EQ(funnel.message.total().win_rate().value(), 1.0);
}

}  // namespace
}  // namespace relais::testing
