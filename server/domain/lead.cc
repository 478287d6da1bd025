#include "server/domain/lead.h"

#include <array>
#include <vector>

#include "server/domain/records.h"

namespace relais::domain {
namespace {

constexpr auto kEmailRefs = [](auto& r) { return std::array{&r.address, &r.label}; };
constexpr auto kPhoneRefs = [](auto& r) { return std::array{&r.number, &r.raw, &r.label}; };
constexpr auto kExternalIdRefs = [](auto& r) { return std::array{&r.system, &r.id}; };

}  // namespace

Value ToValue(const std::vector<Email>& v) { return RecordsToValue(v, kEmailRefs); }
void FromValue(const Value& v, std::vector<Email>& out) { RecordsFromValue(v, out, kEmailRefs); }
Value ToValue(const std::vector<Phone>& v) { return RecordsToValue(v, kPhoneRefs); }
void FromValue(const Value& v, std::vector<Phone>& out) { RecordsFromValue(v, out, kPhoneRefs); }
Value ToValue(const std::vector<ExternalId>& v) { return RecordsToValue(v, kExternalIdRefs); }
void FromValue(const Value& v, std::vector<ExternalId>& out) {
  RecordsFromValue(v, out, kExternalIdRefs);
}

template <>
absl::Span<const Field<Lead>> FieldsOf<Lead>() {
  static const auto* const kFields = new std::vector<Field<Lead>>{
      MakeField<Lead>(
          "stage", [](auto& e) -> auto& { return e.stage; }),
      MakeField<Lead>(
          "market", [](auto& e) -> auto& { return e.market; }),
      MakeField<Lead>("person.given_name", [](auto& e) -> auto& { return e.person.given_name; },
                      {.personal = true}),
      MakeField<Lead>("person.family_name", [](auto& e) -> auto& { return e.person.family_name; },
                      {.personal = true}),
      MakeField<Lead>("person.display_name", [](auto& e) -> auto& { return e.person.display_name; },
                      {.personal = true}),
      MakeField<Lead>("person.emails", [](auto& e) -> auto& { return e.person.emails; },
                      {.personal = true}),
      MakeField<Lead>("person.phones", [](auto& e) -> auto& { return e.person.phones; },
                      {.personal = true}),
      MakeField<Lead>("person.job_title", [](auto& e) -> auto& { return e.person.job_title; },
                      {.personal = true}),
      MakeField<Lead>(
          "person.language", [](auto& e) -> auto& { return e.person.language; }),
      MakeField<Lead>(
          "person.country", [](auto& e) -> auto& { return e.person.country; }),
      MakeField<Lead>(
          "person.time_zone", [](auto& e) -> auto& { return e.person.time_zone; }),
      MakeField<Lead>("person.postal_address.street",
                      [](auto& e) -> auto& { return e.person.postal_address.street; },
                      {.personal = true}),
      MakeField<Lead>("person.postal_address.locality",
                      [](auto& e) -> auto& { return e.person.postal_address.locality; },
                      {.personal = true}),
      MakeField<Lead>(
          "person.postal_address.region",
          [](auto& e) -> auto& { return e.person.postal_address.region; }),
      MakeField<Lead>("person.postal_address.postal_code",
                      [](auto& e) -> auto& { return e.person.postal_address.postal_code; },
                      {.personal = true}),
      MakeField<Lead>(
          "person.postal_address.country",
          [](auto& e) -> auto& { return e.person.postal_address.country; }),
      MakeField<Lead>("person.birth_date", [](auto& e) -> auto& { return e.person.birth_date; },
                      {.personal = true}),
      MakeField<Lead>(
          "organization.display_name",
          [](auto& e) -> auto& { return e.organization.display_name; }),
      MakeField<Lead>(
          "organization.domain", [](auto& e) -> auto& { return e.organization.domain; }),
      MakeField<Lead>(
          "organization.industry", [](auto& e) -> auto& { return e.organization.industry; }),
      MakeField<Lead>(
          "organization.headcount", [](auto& e) -> auto& { return e.organization.headcount; }),
      MakeField<Lead>(
          "organization.annual_revenue",
          [](auto& e) -> auto& { return e.organization.annual_revenue; }),
      MakeField<Lead>(
          "acquisition.channel", [](auto& e) -> auto& { return e.acquisition.channel; }),
      MakeField<Lead>(
          "acquisition.source", [](auto& e) -> auto& { return e.acquisition.source; }),
      MakeField<Lead>(
          "acquisition.campaign", [](auto& e) -> auto& { return e.acquisition.campaign; }),
      MakeField<Lead>(
          "acquisition.utm_source", [](auto& e) -> auto& { return e.acquisition.utm_source; }),
      MakeField<Lead>(
          "acquisition.utm_medium", [](auto& e) -> auto& { return e.acquisition.utm_medium; }),
      MakeField<Lead>(
          "acquisition.utm_campaign", [](auto& e) -> auto& { return e.acquisition.utm_campaign; }),
      MakeField<Lead>(
          "acquisition.utm_term", [](auto& e) -> auto& { return e.acquisition.utm_term; }),
      MakeField<Lead>(
          "acquisition.utm_content", [](auto& e) -> auto& { return e.acquisition.utm_content; }),
      MakeField<Lead>("acquisition.click_id",
                      [](auto& e) -> auto& { return e.acquisition.click_id; }, {.personal = true}),
      MakeField<Lead>(
          "acquisition.landing_page", [](auto& e) -> auto& { return e.acquisition.landing_page; }),
      MakeField<Lead>(
          "acquisition.first_touch_time",
          [](auto& e) -> auto& { return e.acquisition.first_touch_time; }),
      MakeField<Lead>(
          "needs", [](auto& e) -> auto& { return e.needs; }),
      MakeField<Lead>(
          "maturity", [](auto& e) -> auto& { return e.maturity; }),
      MakeField<Lead>(
          "estimated_value", [](auto& e) -> auto& { return e.estimated_value; }),
      MakeField<Lead>(
          "score", [](auto& e) -> auto& { return e.score; }),
      MakeField<Lead>(
          "fit_score", [](auto& e) -> auto& { return e.fit_score; }),
      MakeField<Lead>(
          "engagement_score", [](auto& e) -> auto& { return e.engagement_score; }),
      MakeField<Lead>(
          "intent_score", [](auto& e) -> auto& { return e.intent_score; }),
      MakeField<Lead>(
          "grade", [](auto& e) -> auto& { return e.grade; }),
      MakeField<Lead>(
          "score_band", [](auto& e) -> auto& { return e.score_band; }),
      MakeField<Lead>(
          "score_model", [](auto& e) -> auto& { return e.score_model; }),
      MakeField<Lead>("score_state", [](auto& e) -> auto& { return e.score_state; },
                      {.type = FieldType::kBlob, .history = false, .filterable = false}),
      MakeField<Lead>("next_score_time", [](auto& e) -> auto& { return e.next_score_time; },
                      {.history = false}),
      MakeField<Lead>(
          "owner", [](auto& e) -> auto& { return e.owner; }),
      MakeField<Lead>(
          "consents", [](auto& e) -> auto& { return e.consents; }),
      MakeField<Lead>("consent_times", [](auto& e) -> auto& { return e.consent_times; },
                      {.filterable = false}),
      MakeField<Lead>(
          "labels", [](auto& e) -> auto& { return e.labels; }),
      MakeField<Lead>("external_ids", [](auto& e) -> auto& { return e.external_ids; },
                      {.personal = true}),
      MakeField<Lead>(
          "milestones.stage_time", [](auto& e) -> auto& { return e.milestones.stage_time; }),
      MakeField<Lead>(
          "milestones.prospect_time", [](auto& e) -> auto& { return e.milestones.prospect_time; }),
      MakeField<Lead>(
          "milestones.opportunity_time",
          [](auto& e) -> auto& { return e.milestones.opportunity_time; }),
      MakeField<Lead>(
          "milestones.customer_time", [](auto& e) -> auto& { return e.milestones.customer_time; }),
      MakeField<Lead>(
          "milestones.disqualified_time",
          [](auto& e) -> auto& { return e.milestones.disqualified_time; }),
      MakeField<Lead>(
          "milestones.marketing_qualified_time",
          [](auto& e) -> auto& { return e.milestones.marketing_qualified_time; }),
      MakeField<Lead>(
          "milestones.handed_off_time",
          [](auto& e) -> auto& { return e.milestones.handed_off_time; }),
      MakeField<Lead>(
          "milestones.accepted_time", [](auto& e) -> auto& { return e.milestones.accepted_time; }),
      MakeField<Lead>(
          "milestones.first_contacted_time",
          [](auto& e) -> auto& { return e.milestones.first_contacted_time; }),
      MakeField<Lead>(
          "milestones.recycled_time", [](auto& e) -> auto& { return e.milestones.recycled_time; }),
      MakeField<Lead>(
          "milestones.recycle_count", [](auto& e) -> auto& { return e.milestones.recycle_count; }),
      MakeField<Lead>(
          "milestones.erased_time", [](auto& e) -> auto& { return e.milestones.erased_time; }),
      MakeField<Lead>(
          "milestones.last_touch_time",
          [](auto& e) -> auto& { return e.milestones.last_touch_time; }),
      MakeField<Lead>(
          "counters.touchpoints", [](auto& e) -> auto& { return e.counters.touchpoints; }),
      MakeField<Lead>(
          "counters.open_opportunities",
          [](auto& e) -> auto& { return e.counters.open_opportunities; }),
      MakeField<Lead>(
          "counters.won_opportunities",
          [](auto& e) -> auto& { return e.counters.won_opportunities; }),
      MakeField<Lead>(
          "counters.lost_opportunities",
          [](auto& e) -> auto& { return e.counters.lost_opportunities; }),
      MakeField<Lead>(
          "disqualify_reason", [](auto& e) -> auto& { return e.disqualify_reason; }),
      MakeField<Lead>("merged_into", [](auto& e) -> auto& { return e.merged_into; },
                      {.filterable = false}),
      MakeField<Lead>("merged_leads", [](auto& e) -> auto& { return e.merged_leads; },
                      {.filterable = false}),
      MakeField<Lead>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Lead>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

}  // namespace relais::domain
