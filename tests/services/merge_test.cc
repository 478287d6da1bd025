// Duplicates found, merged and unmerged, as clients see them.
#include <string>
#include <vector>

#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Leads = v1::LeadService::Stub;

class MergeServiceTest : public ServiceTest {
 protected:
  v1::Lead Person(const std::string& given, const std::string& family, const std::string& email,
                  const std::string& phone = "") {
    v1::CaptureLeadRequest request = server.CaptureOf(email);
    v1::Person& person = *request.mutable_lead()->mutable_person();
    person.set_given_name(given);
    person.set_family_name(family);
    person.clear_display_name();
    if (!phone.empty()) person.add_phones()->set_number(phone);
    auto answer = Call(server.leads(), &Leads::CaptureLead, request);
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    server.clock().Advance(1'000'000);
    return answer.message.lead();
  }
  Answer<v1::FindDuplicatesResponse> Find(const std::string& lead, int min_score = 0) {
    v1::FindDuplicatesRequest request;
    request.set_name(lead);
    request.set_min_score(min_score);
    return Call(server.leads(), &Leads::FindDuplicates, request);
  }
  Answer<v1::Lead> Merge(const std::string& survivor, const std::string& lead) {
    v1::MergeLeadsRequest request;
    request.set_name(survivor);
    request.add_leads(lead);
    return Call(server.leads(), &Leads::MergeLeads, request);
  }
  Answer<v1::UnmergeLeadResponse> Unmerge(const std::string& lead) {
    v1::UnmergeLeadRequest request;
    request.set_name(lead);
    return Call(server.leads(), &Leads::UnmergeLead, request);
  }
  std::vector<std::string> Exported() {
    std::vector<std::string> leads;
    grpc::ClientContext context;
    SetPatience(context);
    auto reader = server.imports().ExportLeads(&context, {});
    v1::ExportLeadsResponse page;
    while (reader->Read(&page)) {
      for (v1::Lead& lead : *page.mutable_leads()) {
        lead.clear_etag();         // counts every change
        lead.clear_update_time();  // and tells the last
        leads.push_back(lead.SerializeAsString());
      }
    }
    EXPECT_TRUE(reader->Finish().ok());
    return leads;
  }
};
RELAIS_ON_BOTH_ENGINES(MergeServiceTest);

TEST_P(MergeServiceTest, DuplicatesAreFoundByNamesThatAreMisspeltShortenedOrSwapped) {
  const v1::Lead one = Person("Robert", "Featherstone", "rf@example.com");
  const v1::Lead bob = Person("Bob", "Featherstone", "bob@example.net");
  const v1::Lead slip = Person("Robert", "Fetherstone", "r.f@example.org");
  const v1::Lead swapped = Person("Featherstone", "Robert", "fr@example.org");
  Person("Dorothy", "Okonkwo", "d@example.org");
  // Enough others that a name of two is rare.
  for (int i = 0; i < 60; ++i) {
    Person(Concat("Given", i), Concat("Family", i), Concat("p", i, "@example.com"));
  }
  ASSERT_TRUE(server.server().search_index().DrainForTest().ok());
  // Names alone say little in so small a base.
  auto found = Find(one.name(), 300);
  ASSERT_TRUE(found.ok()) << found.status.error_message();
  std::vector<std::string> names;
  int last = 1000;
  for (const auto& candidate : found.message.candidates()) {
    names.push_back(candidate.lead());
    EXPECT_GE(candidate.score(), 300);
    EXPECT_LE(candidate.score(), last);
    last = candidate.score();
    EXPECT_GT(candidate.reasons_size(), 0);
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre(bob.name(), slip.name(), swapped.name()));
}

TEST_P(MergeServiceTest, WhoHoldsAnIdentityOfTheLeadIsNamedWhateverTheScore) {
  const v1::Lead holder = Person("Ana", "Durand", "ana@example.com", "+33612345678");
  // Another e-mail contradicts the phone: a new lead, and a conflict.
  v1::CaptureLeadRequest request = server.CaptureOf("bo@example.org");
  request.mutable_lead()->mutable_person()->set_given_name("Bo");
  request.mutable_lead()->mutable_person()->add_phones()->set_number("+33612345678");
  auto captured = Call(server.leads(), &Leads::CaptureLead, request);
  ASSERT_TRUE(captured.ok()) << captured.status.error_message();
  ASSERT_THAT(captured.message.conflicts(), SizeIs(1));
  auto found = Find(captured.message.lead().name(), 1000);
  ASSERT_TRUE(found.ok()) << found.status.error_message();
  ASSERT_THAT(found.message.candidates(), SizeIs(1));
  EXPECT_EQ(found.message.candidates(0).lead(), holder.name());
}

TEST_P(MergeServiceTest, TheOldNameAnswersAndReadsTakeBothIn) {
  const v1::Lead ana = server.Capture("ana@example.com");
  const v1::Lead other = server.Capture("a.lopez@example.com");
  server.clock().Advance(1'000'000);
  // What a step recorded follows its time by microseconds.
  google::protobuf::Timestamp before = server.GetLead(other.name()).message.update_time();
  before.set_nanos(before.nanos() + 900'000);
  server.Qualify(other.name());
  v1::Opportunity opportunity = server.Open(other.name());
  server.clock().Advance(1'000'000);
  auto merged = Merge(ana.name(), other.name());
  ASSERT_TRUE(merged.ok()) << merged.status.error_message();
  EXPECT_EQ(merged.message.name(), ana.name());
  EXPECT_EQ(merged.message.stage(), v1::STAGE_OPPORTUNITY);
  EXPECT_THAT(merged.message.merged_leads(), ElementsAre(other.name()));
  EXPECT_EQ(server.GetLead(other.name()).message.SerializeAsString(),
            merged.message.SerializeAsString());
  v1::LookupLeadRequest lookup;
  lookup.set_email("a.lopez@example.com");
  EXPECT_EQ(Call(server.leads(), &Leads::LookupLead, lookup).message.name(), ana.name());
  v1::ListLeadsRequest all;
  EXPECT_THAT(Call(server.leads(), &Leads::ListLeads, all).message.leads(), SizeIs(1));

  for (const std::string& name : {ana.name(), other.name()}) {
    v1::ListTouchpointsRequest touchpoints;
    touchpoints.set_parent(name);
    EXPECT_THAT(Call(server.leads(), &Leads::ListTouchpoints, touchpoints).message.touchpoints(),
                SizeIs(2));
    v1::ListAssessmentsRequest assessments;
    assessments.set_parent(name);
    EXPECT_THAT(
        Call(server.qualification(), &v1::QualificationService::Stub::ListAssessments, assessments)
            .message.assessments(),
        SizeIs(1));
    v1::ListLeadTransitionsRequest transitions;
    transitions.set_parent(name);
    // Two begun, one qualified, one opportunity, and the survivor's step by the merge.
    EXPECT_THAT(
        Call(server.leads(), &Leads::ListLeadTransitions, transitions).message.transitions(),
        SizeIs(5));
    transitions.set_page_size(2);
    std::vector<int64_t> positions;
    do {
      auto page = Call(server.leads(), &Leads::ListLeadTransitions, transitions).message;
      for (const auto& step : page.transitions()) positions.push_back(step.position());
      transitions.set_page_token(page.next_page_token());
    } while (!transitions.page_token().empty());
    EXPECT_THAT(positions, SizeIs(5));
    EXPECT_TRUE(std::is_sorted(positions.begin(), positions.end()));
    v1::ListLeadChangesRequest changes;
    changes.set_parent(name);
    auto told = Call(server.leads(), &Leads::ListLeadChanges, changes).message;
    std::vector<std::string> paths;
    for (const auto& change : told.changes()) paths.push_back(change.path());
    EXPECT_THAT(paths, Contains("merged_leads"));
    EXPECT_THAT(paths, Contains("merged_into"));
    v1::ExplainScoreRequest explain;
    explain.set_name(name);
    auto explained =
        Call(server.qualification(), &v1::QualificationService::Stub::ExplainScore, explain);
    ASSERT_TRUE(explained.ok()) << explained.status.error_message();
    EXPECT_EQ(explained.message.score().score(), merged.message.score());
  }
  auto funnel = Call(server.insight(), &v1::InsightService::Stub::GetFunnel, {}).message;
  EXPECT_EQ(funnel.total().leads(), 1);
  EXPECT_EQ(funnel.total().reached_opportunity(), 1);

  // The past is as it was.
  v1::GetLeadRequest then;
  then.set_name(other.name());
  *then.mutable_read_time() = before;
  auto old = Call(server.leads(), &Leads::GetLead, then);
  ASSERT_TRUE(old.ok()) << old.status.error_message();
  EXPECT_EQ(old.message.SerializeAsString(), other.SerializeAsString());
  *then.mutable_read_time() = merged.message.update_time();
  then.mutable_read_time()->set_nanos(then.read_time().nanos() + 900'000);
  EXPECT_EQ(Call(server.leads(), &Leads::GetLead, then).message.name(), ana.name());

  // A win through the old name counts for the survivor.
  server.Win(opportunity.name());
  EXPECT_EQ(server.GetLead(ana.name()).message.stage(), v1::STAGE_CUSTOMER);
  funnel = Call(server.insight(), &v1::InsightService::Stub::GetFunnel, {}).message;
  EXPECT_EQ(funnel.total().reached_customer(), 1);
  EXPECT_EQ(funnel.total().cycle().count(), 1);
}

TEST_P(MergeServiceTest, AnUnmergeLeavesTheExportAsItWas) {
  const v1::Lead ana = Person("Ana", "Lopez", "ana@example.com");
  const v1::Lead other = Person("A", "Lopez", "a.lopez@example.com", "+33612345678");
  server.Qualify(other.name());
  const std::vector<std::string> before = Exported();
  ASSERT_TRUE(Merge(ana.name(), other.name()).ok());
  EXPECT_THAT(Exported(), SizeIs(1));
  auto unmerged = Unmerge(other.name());
  ASSERT_TRUE(unmerged.ok()) << unmerged.status.error_message();
  EXPECT_EQ(unmerged.message.lead().name(), other.name());
  EXPECT_EQ(unmerged.message.survivor().name(), ana.name());
  EXPECT_EQ(Exported(), before);
  ASSERT_TRUE(server.server().search_index().DrainForTest().ok());
  v1::SearchLeadsRequest search;
  search.set_query("lopez");
  EXPECT_THAT(Call(server.leads(), &Leads::SearchLeads, search).message.results(), SizeIs(2));
}

TEST_P(MergeServiceTest, APreviewWritesNothing) {
  const v1::Lead ana = Person("Ana", "Lopez", "ana@example.com");
  const v1::Lead other = Person("Anna", "Lopez", "a.lopez@example.com");
  const size_t events = server.AllEvents().size();
  v1::MergeLeadsRequest request;
  request.set_name(ana.name());
  request.add_leads(other.name());
  request.set_validate_only(true);
  auto* source = request.add_sources();
  source->set_path("person.given_name");
  source->set_lead(other.name());
  auto preview = Call(server.leads(), &Leads::MergeLeads, request);
  ASSERT_TRUE(preview.ok()) << preview.status.error_message();
  EXPECT_EQ(preview.message.person().given_name(), "Anna");
  EXPECT_EQ(preview.message.person().display_name(), "Anna Lopez");
  EXPECT_THAT(preview.message.person().emails(), SizeIs(2));
  EXPECT_EQ(server.AllEvents().size(), events);
}

TEST_P(MergeServiceTest, EveryRefusalSaysWhy) {
  const v1::Lead a = server.Capture("a@example.com"), b = server.Capture("b@example.com"),
                 c = server.Capture("c@example.com");
  v1::MergeLeadsRequest bad;
  bad.set_name("leads/1");
  bad.add_leads(b.name());
  bad.add_leads(b.name());
  auto* source = bad.add_sources();
  source->set_path("person.emails");
  source->set_lead(c.name());
  bad.set_request_id("x");
  EXPECT_THAT(Call(server.leads(), &Leads::MergeLeads, bad).refusal().fields,
              ::testing::UnorderedElementsAre("name", "leads[1]", "sources[0].path",
                                              "sources[0].lead", "request_id"));
  EXPECT_THAT(Merge(a.name(), a.name()).refusal().fields, ElementsAre("leads[0]"));
  EXPECT_EQ(Merge(a.name(), "leads/01940000-ffff-7000-8000-000000000000").refusal().code,
            grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(Merge(a.name(), b.name()).ok());
  Refusal again = Merge(c.name(), b.name()).refusal();
  EXPECT_EQ(again.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(again.reason, "ALREADY_MERGED");
  ASSERT_THAT(again.preconditions, SizeIs(1));
  EXPECT_EQ(again.preconditions[0].subject(), b.name());
  EXPECT_EQ(Unmerge(c.name()).refusal().reason, "NOT_MERGED");
  ASSERT_TRUE(Merge(c.name(), a.name()).ok());
  EXPECT_EQ(Unmerge(b.name()).refusal().reason, "MERGED_WITHIN");
  v1::UnmergeLeadRequest stale;
  stale.set_name(a.name());
  stale.set_etag(c.etag());
  EXPECT_EQ(Call(server.leads(), &Leads::UnmergeLead, stale).refusal().code,
            grpc::StatusCode::ABORTED);
  EXPECT_THAT(Find("leads/1", 2000).refusal().fields,
              ::testing::UnorderedElementsAre("name", "min_score"));
  EXPECT_EQ(Find("leads/01940000-ffff-7000-8000-000000000000").refusal().code,
            grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace relais::testing
