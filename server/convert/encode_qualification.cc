#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/convert/encode.h"
#include "server/domain/calendar.h"
#include "server/domain/filter_eval.h"

namespace relais::convert {
namespace {

constexpr int kMaxLifts = 50;           // ExplainScoreResponse.lifts
constexpr int kMaxEvidenceNames = 100;  // of one day, ScoreEvidence.touchpoints

// A record that cannot be read back still says which criterion it answered.
void EncodePart(const domain::CriterionAnswer& in, v1::CriterionAnswer* out) {
  out->set_criterion(in.criterion);
  absl::StatusOr<domain::Answer> answer = domain::ParseAnswer(in);
  if (!answer.ok()) return;
  out->set_state(static_cast<v1::CriterionState>(answer->state));
  if (answer->budget_minimum) {
    Encode(*answer->budget_minimum, out->mutable_budget()->mutable_minimum());
  }
  if (answer->budget_maximum) {
    Encode(*answer->budget_maximum, out->mutable_budget()->mutable_maximum());
  }
  out->set_authority_role(static_cast<v1::AuthorityRole>(answer->authority_role));
  out->set_need(answer->need);
  out->set_need_severity(static_cast<v1::NeedSeverity>(answer->need_severity));
  if (answer->target_time) Encode(*answer->target_time, out->mutable_target_time());
  out->set_evidence(answer->evidence);
  if (answer->confidence_percent) {
    out->set_confidence_percent(static_cast<int32_t>(*answer->confidence_percent));
  }
  if (answer->expire_time) Encode(*answer->expire_time, out->mutable_expire_time());
}

void EncodePart(const domain::ScorePart& in, v1::ScorePart* out) {
  out->set_rule(in.rule->id);
  out->set_dimension(static_cast<v1::ScoreDimension>(in.rule->dimension));
  out->set_description(in.rule->description);
  out->set_points(in.points);
  out->set_uncapped_points(in.uncapped_points);
  for (const domain::ScoreEvidence& evidence : in.evidence) {
    v1::ScoreEvidence* entry = out->add_evidence();
    entry->set_day(domain::DayText(evidence.day));
    entry->set_count(evidence.count);
    entry->set_points(evidence.points);
  }
}

std::string_view FilterOf(const domain::ScoringRule& rule) {
  return rule.lead_filter.empty() ? rule.touchpoint_filter : rule.lead_filter;
}

void EncodePart(const domain::MissedRule& in, v1::MissedRule* out) {
  out->set_rule(in.rule->id);
  out->set_dimension(static_cast<v1::ScoreDimension>(in.rule->dimension));
  out->set_description(in.rule->description);
  out->set_points(in.rule->points);
  out->set_filter(std::string(FilterOf(*in.rule)));
}

void EncodePart(const domain::SimulatedFigures& in, const domain::ScoringModel& model,
                v1::SimulatedModel* out) {
  out->set_model(model.versioned_name());
  out->set_crossed(in.crossed);
  out->set_crossed_and_won(in.crossed_and_won);
  if (in.precision_bp) out->set_precision_bp(*in.precision_bp);
  if (in.recall_bp) out->set_recall_bp(*in.recall_bp);
  if (in.median_days) out->set_median_days(*in.median_days);
  for (const domain::SimulatedGroup& group : in.deciles) {
    v1::SimulatedDecile* entry = out->add_deciles();
    entry->set_min_points(group.min_points);
    entry->set_max_points(group.max_points);
    entry->set_leads(group.leads);
    entry->set_won(group.won);
    if (group.lift_bp) entry->set_lift_bp(*group.lift_bp);
  }
  for (const domain::SimulatedBand& band : in.bands) {
    v1::SimulatedBand* entry = out->add_bands();
    entry->set_band(static_cast<v1::ScoreBand>(band.band));
    entry->set_leads(band.leads);
    entry->set_won(band.won);
  }
}

template <class T, class Message>
void EncodeRevised(const domain::Revised<T>& in, Message* out) {
  Encode(in.value, out);
  out->set_state(static_cast<v1::RevisionState>(in.state));
  out->set_author(in.author);
  if (in.create_time) Encode(*in.create_time, out->mutable_create_time());
  if (in.activate_time) Encode(*in.activate_time, out->mutable_activate_time());
  out->set_etag(domain::EtagOf(in.revision));
}

}  // namespace

void Encode(const domain::Assessment& in, v1::Assessment* out) {
  out->set_name(domain::NameOf(in.lead, in.id));
  for (const domain::CriterionAnswer& answer : in.answers) EncodePart(answer, out->add_answers());
  out->set_source(static_cast<v1::AssessmentSource>(in.source));
  out->set_author(in.author);
  Encode(in.occur_time, out->mutable_occur_time());
  Encode(in.create_time, out->mutable_create_time());
  out->set_policy(in.policy);
}

void Encode(const domain::QualificationPolicy& in, v1::QualificationPolicy* out) {
  out->set_name(in.name());
  out->set_display_name(in.display_name);
  out->set_market(static_cast<v1::Market>(in.market));
  out->set_revision(in.revision);
  for (const domain::Criterion& criterion : in.criteria) {
    v1::Criterion* entry = out->add_criteria();
    entry->set_criterion(criterion.id);
    entry->set_kind(static_cast<v1::CriterionKind>(criterion.kind));
    entry->set_required(criterion.required);
    entry->set_question(criterion.question);
    entry->set_valid_days(static_cast<int32_t>(criterion.valid_days));
    entry->set_round(static_cast<v1::QualificationRound>(criterion.round));
    entry->set_weight(static_cast<int32_t>(criterion.weight));
    entry->set_min_confidence_percent(static_cast<int32_t>(criterion.min_confidence_percent));
  }
  out->set_built_in(in.built_in);
  out->set_marketing_weight(static_cast<int32_t>(in.marketing_weight));
  out->set_sales_weight(static_cast<int32_t>(in.sales_weight));
}

void Encode(const domain::ScoringModel& in, v1::ScoringModel* out) {
  out->set_name(in.name());
  out->set_display_name(in.display_name);
  out->set_market(static_cast<v1::Market>(in.market));
  out->set_revision(in.revision);
  for (const domain::ScoringRule& rule : in.rules) {
    v1::ScoringRule* entry = out->add_rules();
    entry->set_rule(rule.id);
    entry->set_dimension(static_cast<v1::ScoreDimension>(rule.dimension));
    entry->set_description(rule.description);
    entry->set_lead_filter(rule.lead_filter);
    entry->set_touchpoint_filter(rule.touchpoint_filter);
    entry->set_points(rule.points);
    entry->set_cap_points(rule.cap_points);
    entry->set_repeat_limit_per_day(static_cast<int32_t>(rule.repeat_limit_per_day));
    entry->set_window_days(static_cast<int32_t>(rule.window_days));
    entry->set_half_life_days(static_cast<int32_t>(rule.half_life_days));
    entry->set_group(rule.group);
  }
  for (const domain::ScoringGroup& group : in.groups) {
    v1::ScoringGroup* entry = out->add_groups();
    entry->set_group(group.id);
    entry->set_description(group.description);
    entry->set_cap_points(group.cap_points);
  }
  out->set_threshold_points(in.threshold_points);
  for (int64_t bound : in.fit_bounds) out->mutable_grade_bounds()->add_fit(bound);
  for (int64_t bound : in.engagement_bounds) out->mutable_grade_bounds()->add_engagement(bound);
  if (in.warm_points != 0 || in.ready_points != 0) {
    out->mutable_band_bounds()->set_warm(in.warm_points);
    out->mutable_band_bounds()->set_ready(in.ready_points);
  }
  out->set_built_in(in.built_in);
}

void Encode(const domain::Revised<domain::QualificationPolicy>& in, v1::QualificationPolicy* out) {
  EncodeRevised(in, out);
}

void Encode(const domain::Revised<domain::ScoringModel>& in, v1::ScoringModel* out) {
  EncodeRevised(in, out);
}

void Encode(const domain::ScoreBreakdown& in, const domain::LeadId& lead,
            const domain::ScoringModel& model, domain::Timestamp read_time, v1::Score* out) {
  out->set_lead(domain::NameOf(lead));
  out->set_score(in.score);
  out->set_fit_score(in.fit_score);
  out->set_engagement_score(in.engagement_score);
  out->set_intent_score(in.intent_score);
  out->set_grade(in.grade);
  out->set_band(static_cast<v1::ScoreBand>(in.band));
  out->set_model(model.versioned_name());
  out->set_marketing_qualified(in.marketing_qualified);
  Encode(read_time, out->mutable_read_time());
  if (in.next_score_time) Encode(*in.next_score_time, out->mutable_next_score_time());
}

void Encode(const domain::ScoreBreakdown& in, const domain::LeadId& lead,
            const domain::ScoringModel& model, domain::Timestamp read_time,
            v1::ExplainScoreResponse* out) {
  Encode(in, lead, model, read_time, out->mutable_score());
  for (const domain::ScorePart& part : in.parts) EncodePart(part, out->add_parts());
  for (const domain::MissedRule& missed : in.missed) EncodePart(missed, out->add_missed());
  out->set_missing_points(in.missing_points);
  for (const domain::GroupCut& cut : in.cuts) {
    v1::GroupCut* entry = out->add_cuts();
    entry->set_group(cut.group->id);
    entry->set_description(cut.group->description);
    entry->set_uncapped_points(cut.uncapped_points);
    entry->set_points(cut.points);
  }
}

void AddOutlook(const domain::ScoreOutlook& in, v1::ExplainScoreResponse* out) {
  for (v1::MissedRule& missed : *out->mutable_missed()) {
    auto near = in.near.find(missed.rule());
    if (near == in.near.end()) continue;
    missed.set_nearly(true);
    missed.set_reason(near->second.reason);
    missed.set_unmet_condition(near->second.unmet_condition);
    if (near->second.last_day) missed.set_last_day(domain::DayText(*near->second.last_day));
  }
  for (const domain::ScoreLift& lift : in.lifts) {
    if (out->lifts_size() == kMaxLifts) break;
    v1::ScoreLift* entry = out->add_lifts();
    entry->set_rule(lift.rule->id);
    entry->set_description(lift.rule->description);
    entry->set_filter(std::string(FilterOf(*lift.rule)));
    entry->set_on_touchpoint(lift.rule->lead_filter.empty());
    entry->set_points(lift.points);
    entry->set_reaches_threshold(lift.reaches_threshold);
  }
  for (const domain::ScoringRule* rule : in.path) out->add_path_to_threshold(rule->id);
}

void Encode(const domain::SimulationResult& in, const domain::ScoringModel& candidate,
            const domain::ScoringModel& active, v1::SimulationResult* out) {
  out->set_leads(in.leads);
  out->set_won(in.won);
  EncodePart(in.candidate, candidate, out->mutable_candidate());
  EncodePart(in.active, active, out->mutable_active());
}

void Encode(const domain::SimulatedLead& in, const domain::LeadId& lead,
            v1::SimulatedCrossing* out) {
  out->set_lead(domain::NameOf(lead));
  if (in.candidate.cross_time) Encode(*in.candidate.cross_time, out->mutable_candidate_time());
  if (in.active.cross_time) Encode(*in.active.cross_time, out->mutable_active_time());
  if (in.won_time) Encode(*in.won_time, out->mutable_won_time());
}

void AddEvidence(const domain::CompiledModel& model,
                 absl::Span<const domain::Touchpoint> touchpoints, v1::ExplainScoreResponse* out) {
  std::map<std::string_view, const domain::CompiledModel::Rule*> rules;
  for (const domain::CompiledModel::Rule& rule : model.rules()) {
    if (rule.on_touchpoints) rules.emplace(rule.spec->id, &rule);
  }
  for (v1::ScorePart& part : *out->mutable_parts()) {
    auto rule = rules.find(part.rule());
    if (rule == rules.end()) continue;
    std::map<std::string, v1::ScoreEvidence*> days;
    for (v1::ScoreEvidence& evidence : *part.mutable_evidence()) {
      days.emplace(evidence.day(), &evidence);
    }
    for (const domain::Touchpoint& touchpoint : touchpoints) {
      auto day = days.find(domain::DayText(domain::DayOf(touchpoint.occur_time)));
      if (day == days.end()) continue;
      v1::ScoreEvidence& evidence = *day->second;
      if (evidence.touchpoints_size() >= kMaxEvidenceNames ||
          evidence.touchpoints_size() >= evidence.count()) {
        continue;
      }
      // Rules do not depend on now().
      if (domain::Matches(rule->second->filter, domain::EntitySubject(touchpoint),
                          touchpoint.occur_time)) {
        evidence.add_touchpoints(domain::NameOf(touchpoint.lead, touchpoint.id));
      }
    }
  }
}

}  // namespace relais::convert
