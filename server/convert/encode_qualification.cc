#include <map>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "server/convert/encode.h"
#include "server/domain/calendar.h"
#include "server/domain/filter_eval.h"

namespace relais::convert {
namespace {

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

void EncodePart(const domain::MissedRule& in, v1::MissedRule* out) {
  out->set_rule(in.rule->id);
  out->set_dimension(static_cast<v1::ScoreDimension>(in.rule->dimension));
  out->set_description(in.rule->description);
  out->set_points(in.rule->points);
  out->set_filter(in.rule->lead_filter.empty() ? in.rule->touchpoint_filter : in.rule->lead_filter);
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
  }
  out->set_built_in(in.built_in);
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
  }
  out->set_threshold_points(in.threshold_points);
  for (int64_t bound : in.fit_bounds) out->mutable_grade_bounds()->add_fit(bound);
  for (int64_t bound : in.engagement_bounds) out->mutable_grade_bounds()->add_engagement(bound);
  out->set_built_in(in.built_in);
}

void Encode(const domain::ScoreBreakdown& in, const domain::LeadId& lead,
            const domain::ScoringModel& model, domain::Timestamp read_time, v1::Score* out) {
  out->set_lead(domain::NameOf(lead));
  out->set_score(in.score);
  out->set_fit_score(in.fit_score);
  out->set_engagement_score(in.engagement_score);
  out->set_intent_score(in.intent_score);
  out->set_grade(in.grade);
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
