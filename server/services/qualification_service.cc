#include "server/services/qualification_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/domain/documents.h"
#include "server/domain/explain.h"
#include "server/domain/revisions.h"
#include "server/services/named.h"
#include "server/services/past.h"

namespace relais::services {
namespace {

constexpr int kMaxSegments = 1000;  // counted without being named: qualification_service.proto

// Of a simulation.
constexpr int kLeadsPerReading = 50;
constexpr int64_t kLeadsPerProgress = 1'000;
constexpr int kCrossingsAtATime = 200;

constexpr size_t kRevisionDigits = 19;  // of the greatest 64-bit number

// The score of a lead that is read as it stands: from the evidence that the write path keeps, under
// the rules that it was kept for.
absl::Status EncodePresentScore(storage::ReadTxn& txn, const domain::LeadId& id, v1::Score& out) {
  ASSIGN_OR_RETURN(domain::Lead lead, FindLead(txn, id));
  const domain::CompiledModel& model = ModelOf(txn.config(), lead);
  ASSIGN_OR_RETURN(domain::ScoreState state, domain::ScoreState::Parse(lead.score_state));
  convert::Encode(domain::Evaluate(model, lead, state, txn.now()), lead.id, model.model(),
                  txn.now(), &out);
  return absl::OkStatus();
}

absl::StatusOr<domain::StoredRoutingRule> StoredRuleOf(const domain::ConfigDocument& document) {
  ASSIGN_OR_RETURN(domain::RoutingRule rule, domain::RoutingRuleOf(document));
  return domain::StoredRoutingRule{
      std::move(rule), document.state == domain::RevisionState::kArchived, document.create_time};
}

// The model that a call names; null when there is none. Of a draft, which is in no snapshot, one
// made here.
absl::StatusOr<std::shared_ptr<const domain::CompiledModel>> FindModel(
    storage::ReadTxn& txn, const domain::ConfigName& name) {
  ASSIGN_OR_RETURN(domain::ConfigDocuments documents,
                   txn.Configurations(domain::ConfigKind::kScoringModel));
  ASSIGN_OR_RETURN(auto revisions,
                   domain::RevisionsOf<domain::ScoringModel>(txn.config(), documents));
  const domain::Revised<domain::ScoringModel>* found = domain::FindRevision(revisions, name);
  if (found == nullptr) {
    return domain::NotFound(
        "ScoringModel",
        Concat("scoringModels/", name.name, name.version == 0 ? "" : Concat("@", name.version)));
  }
  return domain::CompiledModel::Compile(found->value);
}

// A lead's past or present score, from the log.
struct Judged {
  std::shared_ptr<const domain::CompiledModel> model;  // where the call named one
  std::vector<domain::Event> events;
  domain::Timestamp read_time;
  PastScore past;
};
absl::StatusOr<Judged> Judge(storage::ReadTxn& txn, const convert::LeadAt& at) {
  Judged judged;
  if (at.model.has_value()) {
    ASSIGN_OR_RETURN(judged.model, FindModel(txn, *at.model));
  }
  // Of the present, everything in this snapshot counts, also what was recorded a little ahead of
  // the clock.
  ASSIGN_OR_RETURN(judged.events,
                   EventsOf(txn, at.lead, at.read_time.value_or(domain::kEndOfTime)));
  judged.read_time = at.read_time.value_or(txn.now());
  if (!at.read_time.has_value() && !judged.events.empty()) {
    judged.read_time = std::max(judged.read_time, judged.events.back().record_time);
  }
  ASSIGN_OR_RETURN(judged.past, ScoreAsOf(txn.config(), at.lead, judged.events, judged.read_time,
                                          judged.model.get()));
  return judged;
}

template <class T, class Response>
absl::Status GetRevision(Reply<Response>& reply, domain::ConfigName name) {
  return Read(
      reply, [name = std::move(name)](storage::ReadTxn& txn, Response& out) -> absl::Status {
        using Kind = domain::RevisedKind<T>;
        ASSIGN_OR_RETURN(domain::ConfigDocuments documents, txn.Configurations(Kind::kKind));
        ASSIGN_OR_RETURN(auto revisions, domain::RevisionsOf<T>(txn.config(), documents));
        const domain::Revised<T>* found = domain::FindRevision(revisions, name);
        if (found == nullptr) {
          return domain::NotFound(Kind::kType,
                                  Concat(domain::CollectionOf(Kind::kKind), "/", name.name,
                                         name.version == 0 ? "" : Concat("@", name.version)));
        }
        convert::Encode(*found, &out);
        return absl::OkStatus();
      });
}

template <class T, class Response, class Items>
absl::Status ListRevisions(Reply<Response>& reply, convert::NamePage page, Items items) {
  return Read(reply,
              [&reply, page = std::move(page), items](storage::ReadTxn& txn,
                                                      Response& out) -> absl::Status {
                ASSIGN_OR_RETURN(domain::ConfigDocuments documents,
                                 txn.Configurations(domain::RevisedKind<T>::kKind));
                ASSIGN_OR_RETURN(auto revisions, domain::RevisionsOf<T>(txn.config(), documents));
                std::vector<Named<domain::Revised<T>>> all;
                for (const domain::Revised<T>& revision : revisions) {
                  // Numbers of one length, so that the 10th comes after the 9th.
                  std::string number = Concat(revision.value.revision);
                  number.insert(0, kRevisionDigits - std::min(kRevisionDigits, number.size()), '0');
                  all.push_back({Concat(revision.value.name(), "@", number), &revision});
                }
                std::sort(all.begin(), all.end(),
                          [](const auto& a, const auto& b) { return a.name < b.name; });
                FillNamePage(reply, page, all, *items(out), out);
                return absl::OkStatus();
              });
}

}  // namespace

QualificationService::QualificationService(const Edge& edge)
    : Endpoint(edge, "relais.v1.QualificationService") {
  Unary("AssessLead", &QualificationService::AssessLead);
  Unary("ListAssessments", &QualificationService::ListAssessments);
  Unary("QualifyLead", &QualificationService::QualifyLead);
  Unary("DisqualifyLead", &QualificationService::DisqualifyLead);
  Unary("RecycleLead", &QualificationService::RecycleLead);
  Unary("OverrideQualification", &QualificationService::OverrideQualification);
  Unary("CreateQualificationPolicy", &QualificationService::CreateQualificationPolicy);
  Unary("UpdateQualificationPolicy", &QualificationService::UpdateQualificationPolicy);
  Unary("ActivateQualificationPolicy", &QualificationService::ActivateQualificationPolicy);
  Unary("CreateScoringModel", &QualificationService::CreateScoringModel);
  Unary("UpdateScoringModel", &QualificationService::UpdateScoringModel);
  Unary("ActivateScoringModel", &QualificationService::ActivateScoringModel);
  ServerStreaming<SimulationStream>("SimulateScoringModel");
  Unary("RescoreLeads", &QualificationService::RescoreLeads);
  Unary("GetQualificationPolicy", &QualificationService::GetQualificationPolicy);
  Unary("ListQualificationPolicies", &QualificationService::ListQualificationPolicies);
  Unary("GetScoringModel", &QualificationService::GetScoringModel);
  Unary("ListScoringModels", &QualificationService::ListScoringModels);
  Unary("ScoreLead", &QualificationService::ScoreLead);
  Unary("ExplainScore", &QualificationService::ExplainScore);
  Unary("CreateHandoff", &QualificationService::CreateHandoff);
  Unary("AcceptHandoff", &QualificationService::AcceptHandoff);
  Unary("RejectHandoff", &QualificationService::RejectHandoff);
  Unary("ReassignHandoff", &QualificationService::ReassignHandoff);
  Unary("GetHandoff", &QualificationService::GetHandoff);
  Unary("ListHandoffs", &QualificationService::ListHandoffs);
  Unary("CreateSegment", &QualificationService::CreateSegment);
  Unary("GetSegment", &QualificationService::GetSegment);
  Unary("ListSegments", &QualificationService::ListSegments);
  Unary("UpdateSegment", &QualificationService::UpdateSegment);
  Unary("ArchiveSegment", &QualificationService::ArchiveSegment);
  Unary("ListSegmentLeads", &QualificationService::ListSegmentLeads);
  Unary("CountSegments", &QualificationService::CountSegments);
  Unary("CreateRoutingRule", &QualificationService::CreateRoutingRule);
  Unary("UpdateRoutingRule", &QualificationService::UpdateRoutingRule);
  Unary("ArchiveRoutingRule", &QualificationService::ArchiveRoutingRule);
  Unary("GetRoutingRule", &QualificationService::GetRoutingRule);
  Unary("ListRoutingRules", &QualificationService::ListRoutingRules);
  Unary("UpdateHandoffPolicy", &QualificationService::UpdateHandoffPolicy);
  Unary("GetHandoffPolicy", &QualificationService::GetHandoffPolicy);
  Unary("ListHandoffPolicies", &QualificationService::ListHandoffPolicies);
}

absl::Status QualificationService::AssessLead(Reply<v1::Assessment>& reply,
                                              const v1::AssessLeadRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseAssessLead(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::ListAssessments(Reply<v1::ListAssessmentsResponse>& reply,
                                                   const v1::ListAssessmentsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page,
                   convert::ParseListAssessments(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListAssessments,
              [](v1::ListAssessmentsResponse& out) { return out.mutable_assessments(); });
}

absl::Status QualificationService::QualifyLead(Reply<v1::Lead>& reply,
                                               const v1::QualifyLeadRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseQualifyLead(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::DisqualifyLead(Reply<v1::Lead>& reply,
                                                  const v1::DisqualifyLeadRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseDisqualifyLead(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::RecycleLead(Reply<v1::Lead>& reply,
                                               const v1::RecycleLeadRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseRecycleLead(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::OverrideQualification(
    Reply<v1::Lead>& reply, const v1::OverrideQualificationRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseOverrideQualification(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::CreateQualificationPolicy(
    Reply<v1::QualificationPolicy>& reply, const v1::CreateQualificationPolicyRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateQualificationPolicy(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::UpdateQualificationPolicy(
    Reply<v1::QualificationPolicy>& reply, const v1::UpdateQualificationPolicyRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateQualificationPolicy(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::ActivateQualificationPolicy(
    Reply<v1::QualificationPolicy>& reply, const v1::ActivateQualificationPolicyRequest& request) {
  ASSIGN_OR_RETURN(auto parsed,
                   convert::ParseActivateQualificationPolicy(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::CreateScoringModel(
    Reply<v1::ScoringModel>& reply, const v1::CreateScoringModelRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateScoringModel(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::UpdateScoringModel(
    Reply<v1::ScoringModel>& reply, const v1::UpdateScoringModelRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateScoringModel(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::ActivateScoringModel(
    Reply<v1::ScoringModel>& reply, const v1::ActivateScoringModelRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseActivateScoringModel(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::RescoreLeads(Reply<v1::Operation>& reply,
                                                const v1::RescoreLeadsRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseRescoreLeads(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status SimulationStream::Start(const v1::SimulateScoringModelRequest& request) {
  ASSIGN_OR_RETURN(query_, convert::ParseSimulateScoringModel(request, exchange().decoding()));
  return place_.Take(edge());
}

void SimulationStream::Produce() {
  v1::SimulateScoringModelResponse message;
  if (ended_) return End(absl::OkStatus());
  if (candidate_ == nullptr) return ReadModels();
  if (crossings_.has_value() && crossings_->crossings_size() > 0 &&
      (all_read_ || crossings_->crossings_size() >= kCrossingsAtATime)) {
    message.mutable_crossings()->Swap(&*crossings_);
    crossings_.reset();
    return Send(message);
  }
  if (all_read_) {
    convert::Encode(simulation_->Result(), candidate_->model(), active_->model(),
                    message.mutable_result());
    ended_ = true;
    return Send(message);
  }
  if (told_ < 0 || done_ - told_ >= kLeadsPerProgress) {
    told_ = done_;
    message.mutable_progress()->set_leads_done(done_);
    message.mutable_progress()->set_leads_total(std::max(total_, done_));
    return Send(message);
  }
  ReadPage();
}

void SimulationStream::ReadModels() {
  ReadStore(
      [this](storage::ReadTxn& txn) -> absl::Status {
        ASSIGN_OR_RETURN(candidate_, FindModel(txn, query_.model));
        // Compiled anew: the snapshot ends with this reading.
        ASSIGN_OR_RETURN(active_, domain::CompiledModel::Compile(
                                      txn.config().model(candidate_->model().market).model()));
        ASSIGN_OR_RETURN(total_, txn.CountLeads());
        until_ = query_.end_time.value_or(txn.now());
        return absl::OkStatus();
      },
      [this](const absl::Status& status) {
        if (!status.ok()) return End(status);
        simulation_.emplace(candidate_->model(), active_->model());
        Next();
      });
}

void SimulationStream::ReadPage() {
  using Page = std::vector<std::pair<domain::LeadId, domain::SimulatedLead>>;
  auto page = std::make_shared<Page>();
  ReadStore(
      [this, page](storage::ReadTxn& txn) -> absl::Status {
        page->clear();
        ASSIGN_OR_RETURN(std::vector<storage::ScoredLead> leads,
                         txn.ScoredLeads(after_, kLeadsPerReading));
        for (const storage::ScoredLead& lead : leads) {
          ASSIGN_OR_RETURN(std::vector<domain::Event> events,
                           EventsOf(txn, lead.lead, domain::kEndOfTime));
          std::erase_if(events,
                        [this](const domain::Event& event) { return event.occur_time > until_; });
          page->emplace_back(lead.lead,
                             domain::Simulate(*candidate_, *active_, lead.lead, events, until_));
        }
        return absl::OkStatus();
      },
      [this, page](const absl::Status& status) {
        if (!status.ok()) return End(status);
        all_read_ = page->size() < static_cast<size_t>(kLeadsPerReading);
        for (const auto& [lead, simulated] : *page) {
          ++done_;
          after_ = lead;
          const bool crosses =
              simulated.candidate.cross_time.has_value() || simulated.active.cross_time.has_value();
          if (!simulation_->Add(simulated) || !crosses || query_.figures_only) continue;
          if (!crossings_.has_value()) crossings_.emplace();
          convert::Encode(simulated, lead, crossings_->add_crossings());
        }
        Next();
      });
}

absl::Status QualificationService::GetQualificationPolicy(
    Reply<v1::QualificationPolicy>& reply, const v1::GetQualificationPolicyRequest& request) {
  ASSIGN_OR_RETURN(domain::ConfigName name,
                   convert::ParseGetQualificationPolicy(request, reply.decoding()));
  return GetRevision<domain::QualificationPolicy>(reply, std::move(name));
}

absl::Status QualificationService::ListQualificationPolicies(
    Reply<v1::ListQualificationPoliciesResponse>& reply,
    const v1::ListQualificationPoliciesRequest& request) {
  ASSIGN_OR_RETURN(convert::NamePage page,
                   convert::ParseListQualificationPolicies(request, reply.decoding()));
  return ListRevisions<domain::QualificationPolicy>(reply, std::move(page),
                                                    [](v1::ListQualificationPoliciesResponse& out) {
                                                      return out.mutable_qualification_policies();
                                                    });
}

absl::Status QualificationService::GetScoringModel(Reply<v1::ScoringModel>& reply,
                                                   const v1::GetScoringModelRequest& request) {
  ASSIGN_OR_RETURN(domain::ConfigName name,
                   convert::ParseGetScoringModel(request, reply.decoding()));
  return GetRevision<domain::ScoringModel>(reply, std::move(name));
}

absl::Status QualificationService::ListScoringModels(Reply<v1::ListScoringModelsResponse>& reply,
                                                     const v1::ListScoringModelsRequest& request) {
  ASSIGN_OR_RETURN(convert::NamePage page,
                   convert::ParseListScoringModels(request, reply.decoding()));
  return ListRevisions<domain::ScoringModel>(
      reply, std::move(page),
      [](v1::ListScoringModelsResponse& out) { return out.mutable_scoring_models(); });
}

absl::Status QualificationService::ScoreLead(Reply<v1::Score>& reply,
                                             const v1::ScoreLeadRequest& request) {
  ASSIGN_OR_RETURN(convert::LeadAt at, convert::ParseScoreLead(request, reply.decoding()));
  return Read(reply, [at](storage::ReadTxn& txn, v1::Score& out) -> absl::Status {
    if (!at.read_time.has_value() && !at.model.has_value()) {
      return EncodePresentScore(txn, at.lead, out);
    }
    convert::LeadAt standing = at;
    ASSIGN_OR_RETURN(standing.lead, StandingAsOf(txn, at.lead, at.read_time));
    ASSIGN_OR_RETURN(Judged judged, Judge(txn, standing));
    convert::Encode(judged.past.score.breakdown, standing.lead, judged.past.model->model(),
                    judged.read_time, &out);
    return absl::OkStatus();
  });
}

absl::Status QualificationService::ExplainScore(Reply<v1::ExplainScoreResponse>& reply,
                                                const v1::ExplainScoreRequest& request) {
  ASSIGN_OR_RETURN(convert::LeadAt at, convert::ParseExplainScore(request, reply.decoding()));
  return Read(reply, [at](storage::ReadTxn& txn, v1::ExplainScoreResponse& out) -> absl::Status {
    // Evidence names touchpoints, so the present score, too, is explained from the log.
    convert::LeadAt standing = at;
    ASSIGN_OR_RETURN(standing.lead, StandingAsOf(txn, at.lead, at.read_time));
    ASSIGN_OR_RETURN(Judged judged, Judge(txn, standing));
    const PastScore& past = judged.past;
    convert::Encode(past.score.breakdown, standing.lead, past.model->model(), judged.read_time,
                    &out);
    const std::vector<domain::Touchpoint> touchpoints = TouchpointsIn(judged.events);
    convert::AddEvidence(*past.model, touchpoints, &out);
    convert::AddOutlook(domain::OutlookOf(*past.model, past.score.lead, past.score.state,
                                          touchpoints, judged.read_time),
                        &out);
    return absl::OkStatus();
  });
}

absl::Status QualificationService::CreateHandoff(Reply<v1::Handoff>& reply,
                                                 const v1::CreateHandoffRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateHandoff(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::AcceptHandoff(Reply<v1::Handoff>& reply,
                                                 const v1::AcceptHandoffRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseAcceptHandoff(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::RejectHandoff(Reply<v1::Handoff>& reply,
                                                 const v1::RejectHandoffRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseRejectHandoff(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::ReassignHandoff(Reply<v1::Handoff>& reply,
                                                   const v1::ReassignHandoffRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseReassignHandoff(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::GetHandoff(Reply<v1::Handoff>& reply,
                                              const v1::GetHandoffRequest& request) {
  ASSIGN_OR_RETURN(domain::HandoffId id, convert::ParseGetHandoff(request, reply.decoding()));
  return Get(reply, id, "Handoff", &storage::ReadTxn::GetHandoff);
}

absl::Status QualificationService::ListHandoffs(Reply<v1::ListHandoffsResponse>& reply,
                                                const v1::ListHandoffsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListHandoffs(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListHandoffs,
              [](v1::ListHandoffsResponse& out) { return out.mutable_handoffs(); });
}

absl::Status QualificationService::CreateRoutingRule(Reply<v1::RoutingRule>& reply,
                                                     const v1::CreateRoutingRuleRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateRoutingRule(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::UpdateRoutingRule(Reply<v1::RoutingRule>& reply,
                                                     const v1::UpdateRoutingRuleRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateRoutingRule(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::ArchiveRoutingRule(
    Reply<v1::RoutingRule>& reply, const v1::ArchiveRoutingRuleRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseArchiveRoutingRule(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::UpdateHandoffPolicy(
    Reply<v1::HandoffPolicy>& reply, const v1::UpdateHandoffPolicyRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateHandoffPolicy(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::GetRoutingRule(Reply<v1::RoutingRule>& reply,
                                                  const v1::GetRoutingRuleRequest& request) {
  ASSIGN_OR_RETURN(domain::ConfigName name,
                   convert::ParseGetRoutingRule(request, reply.decoding()));
  return Read(
      reply,
      [name, full = request.name()](storage::ReadTxn& txn, v1::RoutingRule& out) -> absl::Status {
        ASSIGN_OR_RETURN(domain::ConfigDocuments documents,
                         txn.Configurations(domain::ConfigKind::kRoutingRule));
        const domain::ConfigDocument* found =
            domain::FindDocument(documents, name.name, name.version);
        if (found == nullptr) return domain::NotFound("RoutingRule", full);
        ASSIGN_OR_RETURN(domain::StoredRoutingRule rule, StoredRuleOf(*found));
        convert::Encode(rule, &out);
        return absl::OkStatus();
      });
}

absl::Status QualificationService::ListRoutingRules(Reply<v1::ListRoutingRulesResponse>& reply,
                                                    const v1::ListRoutingRulesRequest& request) {
  ASSIGN_OR_RETURN(convert::NamePage page,
                   convert::ParseListRoutingRules(request, reply.decoding()));
  return Read(
      reply,
      [&reply, page](storage::ReadTxn& txn, v1::ListRoutingRulesResponse& out) -> absl::Status {
        ASSIGN_OR_RETURN(domain::ConfigDocuments documents,
                         txn.Configurations(domain::ConfigKind::kRoutingRule));
        // The latest of each: they are ordered by name and version.
        std::vector<domain::StoredRoutingRule> rules;
        for (size_t i = 0; i < documents.size(); ++i) {
          if (i + 1 < documents.size() && documents[i + 1].name == documents[i].name) continue;
          ASSIGN_OR_RETURN(domain::StoredRoutingRule rule, StoredRuleOf(documents[i]));
          rules.push_back(std::move(rule));
        }
        std::vector<Named<domain::StoredRoutingRule>> all;
        for (const domain::StoredRoutingRule& rule : rules) {
          all.push_back({rule.rule.name(), &rule});
        }
        FillNamePage(reply, page, all, *out.mutable_routing_rules(), out);
        return absl::OkStatus();
      });
}

absl::Status QualificationService::GetHandoffPolicy(Reply<v1::HandoffPolicy>& reply,
                                                    const v1::GetHandoffPolicyRequest& request) {
  ASSIGN_OR_RETURN(std::string name, convert::ParseGetHandoffPolicy(request, reply.decoding()));
  return Read(reply, [name](storage::ReadTxn& txn, v1::HandoffPolicy& out) -> absl::Status {
    const domain::HandoffPolicy* found = txn.config().FindHandoffPolicy(name);
    if (found == nullptr) return domain::NotFound("HandoffPolicy", name);
    convert::Encode(*found, &out);
    return absl::OkStatus();
  });
}

absl::Status QualificationService::ListHandoffPolicies(
    Reply<v1::ListHandoffPoliciesResponse>& reply, const v1::ListHandoffPoliciesRequest& request) {
  ASSIGN_OR_RETURN(convert::NamePage page,
                   convert::ParseListHandoffPolicies(request, reply.decoding()));
  return Read(
      reply,
      [&reply, page](storage::ReadTxn& txn, v1::ListHandoffPoliciesResponse& out) -> absl::Status {
        std::vector<Named<domain::HandoffPolicy>> all;
        for (domain::Market market : {domain::Market::kB2b, domain::Market::kB2c}) {
          const domain::HandoffPolicy& policy = txn.config().handoff_policy(market);
          all.push_back({policy.name(), &policy});
        }
        FillNamePage(reply, page, all, *out.mutable_handoff_policies(), out);
        return absl::OkStatus();
      });
}

absl::Status QualificationService::CreateSegment(Reply<v1::Segment>& reply,
                                                 const v1::CreateSegmentRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateSegment(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::UpdateSegment(Reply<v1::Segment>& reply,
                                                 const v1::UpdateSegmentRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateSegment(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::ArchiveSegment(Reply<v1::Segment>& reply,
                                                  const v1::ArchiveSegmentRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseArchiveSegment(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status QualificationService::GetSegment(Reply<v1::Segment>& reply,
                                              const v1::GetSegmentRequest& request) {
  ASSIGN_OR_RETURN(domain::SegmentId id, convert::ParseGetSegment(request, reply.decoding()));
  return Get(reply, id, "Segment", &storage::ReadTxn::GetSegment);
}

absl::Status QualificationService::ListSegments(Reply<v1::ListSegmentsResponse>& reply,
                                                const v1::ListSegmentsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListSegments(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListSegments,
              [](v1::ListSegmentsResponse& out) { return out.mutable_segments(); });
}

absl::Status QualificationService::ListSegmentLeads(Reply<v1::ListSegmentLeadsResponse>& reply,
                                                    const v1::ListSegmentLeadsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page,
                   convert::ParseListSegmentLeads(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListLeads,
              [](v1::ListSegmentLeadsResponse& out) { return out.mutable_leads(); });
}

absl::Status QualificationService::CountSegments(Reply<v1::CountSegmentsResponse>& reply,
                                                 const v1::CountSegmentsRequest& request) {
  ASSIGN_OR_RETURN(std::vector<domain::SegmentId> names,
                   convert::ParseCountSegments(request, reply.decoding()));
  return Read(reply,
              [names](storage::ReadTxn& txn, v1::CountSegmentsResponse& out) -> absl::Status {
                std::vector<domain::SegmentId> ids = names;
                if (ids.empty()) {
                  ASSIGN_OR_RETURN(std::vector<domain::Segment> all,
                                   txn.ListSegments({.limit = kMaxSegments}));
                  for (const domain::Segment& segment : all) {
                    if (segment.state != domain::SegmentState::kArchived) ids.push_back(segment.id);
                  }
                }
                for (const domain::SegmentId& id : names) {
                  ASSIGN_OR_RETURN(std::optional<domain::Segment> found, txn.GetSegment(id));
                  if (!found.has_value()) return domain::NotFound("Segment", domain::NameOf(id));
                }
                ASSIGN_OR_RETURN(std::vector<int64_t> counts, txn.CountSegmentMembers(ids));
                for (size_t i = 0; i < ids.size(); ++i) {
                  v1::SegmentCount* count = out.add_counts();
                  count->set_segment(domain::NameOf(ids[i]));
                  count->set_leads(counts[i]);
                }
                return absl::OkStatus();
              });
}

}  // namespace relais::services
