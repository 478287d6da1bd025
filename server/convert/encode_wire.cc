// What most answers are made of, straight to bytes. Encode of a lead reads these bytes, so that
// what a field is made of stands in one place.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/numbers.h"
#include "server/convert/encode.h"
#include "server/convert/wire_writer.h"
#include "server/domain/ids.h"

namespace relais::convert {
namespace {

void Put(WireWriter& out, int field, domain::Timestamp in) {
  using google::protobuf::Timestamp;
  out.Message(field, [&] {
    int64_t seconds = in.micros / domain::kMicrosPerSecond;
    int64_t micros = in.micros % domain::kMicrosPerSecond;
    if (micros < 0) {
      micros += domain::kMicrosPerSecond;
      --seconds;
    }
    out.Number(Timestamp::kSecondsFieldNumber, seconds);
    out.Number(Timestamp::kNanosFieldNumber, micros * 1000);
  });
}

void Put(WireWriter& out, int field, const domain::Money& in) {
  using google::type::Money;
  out.Message(field, [&] {
    out.Text(Money::kCurrencyCodeFieldNumber, in.currency_code);
    out.Number(Money::kUnitsFieldNumber, in.units);
    out.Number(Money::kNanosFieldNumber, in.nanos);
  });
}

template <class T>
void Put(WireWriter& out, int field, const std::optional<T>& in) {
  if (in) Put(out, field, *in);
}

template <class Value>
void PutEntry(WireWriter& out, int field, const std::string& key, const Value& put_value) {
  out.Message(field, [&] {
    out.GivenText(1, key);
    put_value(2);
  });
}

void Put(WireWriter& out, int field, const std::map<std::string, std::string>& in) {
  for (const auto& [key, value] : in) {
    PutEntry(out, field, key, [&, &text = value](int at) { out.GivenText(at, text); });
  }
}

template <class E>
void PutEnum(WireWriter& out, int field, E in) {
  out.Number(field, static_cast<int64_t>(in));
}

void PutFields(WireWriter& out, const domain::Person& in) {
  using Person = v1::Person;
  out.Text(Person::kGivenNameFieldNumber, in.given_name);
  out.Text(Person::kFamilyNameFieldNumber, in.family_name);
  out.Text(Person::kDisplayNameFieldNumber, in.display_name);
  for (const domain::Email& email : in.emails) {
    out.Message(Person::kEmailsFieldNumber, [&] {
      out.Text(v1::Email::kAddressFieldNumber, email.address);
      out.Text(v1::Email::kLabelFieldNumber, email.label);
    });
  }
  for (const domain::Phone& phone : in.phones) {
    out.Message(Person::kPhonesFieldNumber, [&] {
      out.Text(v1::Phone::kNumberFieldNumber, phone.number);
      out.Text(v1::Phone::kRawFieldNumber, phone.raw);
      out.Text(v1::Phone::kLabelFieldNumber, phone.label);
    });
  }
  out.Text(Person::kJobTitleFieldNumber, in.job_title);
  out.Text(Person::kLanguageFieldNumber, in.language);
  out.Text(Person::kCountryFieldNumber, in.country);
  out.Text(Person::kTimeZoneFieldNumber, in.time_zone);
  if (in.postal_address != domain::PostalAddress{}) {
    using Address = v1::PostalAddress;
    const domain::PostalAddress& address = in.postal_address;
    out.Message(Person::kPostalAddressFieldNumber, [&] {
      out.Text(Address::kStreetFieldNumber, address.street);
      out.Text(Address::kLocalityFieldNumber, address.locality);
      out.Text(Address::kRegionFieldNumber, address.region);
      out.Text(Address::kPostalCodeFieldNumber, address.postal_code);
      out.Text(Address::kCountryFieldNumber, address.country);
    });
  }
  out.Text(Person::kBirthDateFieldNumber, in.birth_date);
}

void PutFields(WireWriter& out, const domain::Organization& in) {
  using Organization = v1::Organization;
  out.Text(Organization::kDisplayNameFieldNumber, in.display_name);
  out.Text(Organization::kDomainFieldNumber, in.domain);
  out.Text(Organization::kIndustryFieldNumber, in.industry);
  if (in.headcount) out.GivenNumber(Organization::kHeadcountFieldNumber, *in.headcount);
  Put(out, Organization::kAnnualRevenueFieldNumber, in.annual_revenue);
}

void PutFields(WireWriter& out, const domain::Acquisition& in) {
  using Acquisition = v1::Acquisition;
  PutEnum(out, Acquisition::kChannelFieldNumber, in.channel);
  out.Text(Acquisition::kSourceFieldNumber, in.source);
  out.Text(Acquisition::kCampaignFieldNumber, in.campaign);
  out.Text(Acquisition::kUtmSourceFieldNumber, in.utm_source);
  out.Text(Acquisition::kUtmMediumFieldNumber, in.utm_medium);
  out.Text(Acquisition::kUtmCampaignFieldNumber, in.utm_campaign);
  out.Text(Acquisition::kUtmTermFieldNumber, in.utm_term);
  out.Text(Acquisition::kUtmContentFieldNumber, in.utm_content);
  out.Text(Acquisition::kClickIdFieldNumber, in.click_id);
  out.Text(Acquisition::kLandingPageFieldNumber, in.landing_page);
  Put(out, Acquisition::kFirstTouchTimeFieldNumber, in.first_touch_time);
}

void PutFields(WireWriter& out, const domain::Milestones& in) {
  using Milestones = v1::Milestones;
  Put(out, Milestones::kStageTimeFieldNumber, in.stage_time);
  Put(out, Milestones::kProspectTimeFieldNumber, in.prospect_time);
  Put(out, Milestones::kOpportunityTimeFieldNumber, in.opportunity_time);
  Put(out, Milestones::kCustomerTimeFieldNumber, in.customer_time);
  Put(out, Milestones::kDisqualifiedTimeFieldNumber, in.disqualified_time);
  Put(out, Milestones::kMarketingQualifiedTimeFieldNumber, in.marketing_qualified_time);
  Put(out, Milestones::kHandedOffTimeFieldNumber, in.handed_off_time);
  Put(out, Milestones::kAcceptedTimeFieldNumber, in.accepted_time);
  Put(out, Milestones::kFirstContactedTimeFieldNumber, in.first_contacted_time);
  Put(out, Milestones::kRecycledTimeFieldNumber, in.recycled_time);
  out.Number(Milestones::kRecycleCountFieldNumber, in.recycle_count);
  Put(out, Milestones::kErasedTimeFieldNumber, in.erased_time);
  Put(out, Milestones::kLastTouchTimeFieldNumber, in.last_touch_time);
}

// A part that says nothing is left out.
template <class Part>
void PutPart(WireWriter& out, int field, const Part& in) {
  static const Part kNothing{};
  if (in != kNothing) out.Message(field, [&] { PutFields(out, in); });
}

void PutFields(WireWriter& out, const domain::Lead& in) {
  using Lead = v1::Lead;
  out.Text(Lead::kNameFieldNumber, domain::NameOf(in.id));
  PutEnum(out, Lead::kStageFieldNumber, in.stage);
  PutEnum(out, Lead::kMarketFieldNumber, in.market);
  PutPart(out, Lead::kPersonFieldNumber, in.person);
  PutPart(out, Lead::kOrganizationFieldNumber, in.organization);
  PutPart(out, Lead::kAcquisitionFieldNumber, in.acquisition);
  for (const std::string& need : in.needs) out.GivenText(Lead::kNeedsFieldNumber, need);
  PutEnum(out, Lead::kMaturityFieldNumber, in.maturity);
  Put(out, Lead::kEstimatedValueFieldNumber, in.estimated_value);
  out.Number(Lead::kScoreFieldNumber, in.score);
  out.Number(Lead::kFitScoreFieldNumber, in.fit_score);
  out.Number(Lead::kEngagementScoreFieldNumber, in.engagement_score);
  out.Number(Lead::kIntentScoreFieldNumber, in.intent_score);
  out.Text(Lead::kGradeFieldNumber, in.grade);
  out.Text(Lead::kScoreModelFieldNumber, in.score_model);
  Put(out, Lead::kNextScoreTimeFieldNumber, in.next_score_time);
  out.Text(Lead::kOwnerFieldNumber, in.owner);
  Put(out, Lead::kConsentsFieldNumber, in.consents);
  Put(out, Lead::kLabelsFieldNumber, in.labels);
  for (const domain::ExternalId& id : in.external_ids) {
    out.Message(Lead::kExternalIdsFieldNumber, [&] {
      out.Text(v1::ExternalId::kSystemFieldNumber, id.system);
      out.Text(v1::ExternalId::kIdFieldNumber, id.id);
    });
  }
  PutPart(out, Lead::kMilestonesFieldNumber, in.milestones);
  out.Message(Lead::kCountersFieldNumber, [&] {
    using Counters = v1::Counters;
    out.Number(Counters::kTouchpointsFieldNumber, in.counters.touchpoints);
    out.Number(Counters::kOpenOpportunitiesFieldNumber, in.counters.open_opportunities);
    out.Number(Counters::kWonOpportunitiesFieldNumber, in.counters.won_opportunities);
    out.Number(Counters::kLostOpportunitiesFieldNumber, in.counters.lost_opportunities);
  });
  out.Text(Lead::kDisqualifyReasonFieldNumber, in.disqualify_reason);
  Put(out, Lead::kCreateTimeFieldNumber, in.create_time);
  Put(out, Lead::kUpdateTimeFieldNumber, in.update_time);
  out.Text(Lead::kEtagFieldNumber, domain::EtagOf(in.revision));
  for (const auto& [key, text] : in.consent_times) {
    int64_t micros = 0;
    if (!absl::SimpleAtoi(text, &micros)) continue;
    PutEntry(out, Lead::kConsentTimesFieldNumber, key,
             [&](int at) { Put(out, at, domain::Timestamp{micros}); });
  }
  PutEnum(out, Lead::kScoreBandFieldNumber, in.score_band);
  for (const std::string& name : in.merged_leads) {
    out.GivenText(Lead::kMergedLeadsFieldNumber, name);
  }
}

void PutFields(WireWriter& out, const domain::Touchpoint& in) {
  using Touchpoint = v1::Touchpoint;
  out.Text(Touchpoint::kNameFieldNumber, domain::NameOf(in.lead, in.id));
  PutEnum(out, Touchpoint::kKindFieldNumber, in.kind);
  PutEnum(out, Touchpoint::kChannelFieldNumber, in.channel);
  Put(out, Touchpoint::kOccurTimeFieldNumber, in.occur_time);
  Put(out, Touchpoint::kCreateTimeFieldNumber, in.create_time);
  out.Text(Touchpoint::kSourceFieldNumber, in.source);
  out.Text(Touchpoint::kExternalIdFieldNumber, in.external_id);
  out.Text(Touchpoint::kCampaignFieldNumber, in.campaign);
  out.Text(Touchpoint::kTopicFieldNumber, in.topic);
  out.Text(Touchpoint::kUrlFieldNumber, in.url);
  out.Text(Touchpoint::kBodyFieldNumber, in.body);
  Put(out, Touchpoint::kValueFieldNumber, in.value);
  if (in.duration_seconds) {
    out.GivenNumber(Touchpoint::kDurationSecondsFieldNumber, *in.duration_seconds);
  }
  Put(out, Touchpoint::kPropertiesFieldNumber, in.properties);
  out.Text(Touchpoint::kActorFieldNumber, in.actor);
}

}  // namespace

void EncodeTo(const domain::Lead& in, std::string& bytes) {
  WireWriter out(bytes);
  PutFields(out, in);
}

void EncodeTo(const domain::Touchpoint& in, std::string& bytes) {
  WireWriter out(bytes);
  PutFields(out, in);
}

void EncodeTo(const commands::Captured& in, std::string& bytes) {
  using Response = v1::CaptureLeadResponse;
  WireWriter out(bytes);
  out.Message(Response::kLeadFieldNumber, [&] { PutFields(out, in.lead); });
  out.Message(Response::kTouchpointFieldNumber, [&] { PutFields(out, in.touchpoint); });
  PutEnum(out, Response::kOutcomeFieldNumber, in.outcome);
  PutEnum(out, Response::kMatchedByFieldNumber, in.matched_by);
  for (const auto& conflict : in.conflicts) {
    out.Message(Response::kConflictsFieldNumber, [&] {
      PutEnum(out, v1::IdentityConflict::kKindFieldNumber, conflict.kind);
      out.Text(v1::IdentityConflict::kValueFieldNumber, conflict.value);
      out.Text(v1::IdentityConflict::kLeadFieldNumber, domain::NameOf(conflict.lead));
    });
  }
}

void EncodeItemTo(int field, const domain::Lead& in, std::string& bytes) {
  WireWriter out(bytes);
  out.Message(field, [&] { PutFields(out, in); });
}

void EncodeItemTo(int field, const domain::Touchpoint& in, std::string& bytes) {
  WireWriter out(bytes);
  out.Message(field, [&] { PutFields(out, in); });
}

void EncodeTextTo(int field, std::string_view text, std::string& bytes) {
  WireWriter(bytes).Text(field, text);
}

// What is in the domain is valid UTF-8, so reading it back cannot fail.
void Encode(const domain::Lead& in, v1::Lead* out) {
  std::string bytes;
  EncodeTo(in, bytes);
  out->MergeFromString(bytes);
}

void Encode(const domain::Touchpoint& in, v1::Touchpoint* out) {
  std::string bytes;
  EncodeTo(in, bytes);
  out->MergeFromString(bytes);
}

void Encode(const commands::Captured& in, Detail detail, v1::CaptureLeadResponse* out) {
  if (detail == Detail::kWhole) {
    std::string bytes;
    EncodeTo(in, bytes);
    out->MergeFromString(bytes);
    return;
  }
  out->mutable_lead()->set_name(domain::NameOf(in.lead.id));
  out->mutable_touchpoint()->set_name(domain::NameOf(in.touchpoint.lead, in.touchpoint.id));
  out->set_outcome(static_cast<v1::CaptureOutcome>(in.outcome));
  out->set_matched_by(static_cast<v1::IdentityKind>(in.matched_by));
  for (const auto& conflict : in.conflicts) {
    v1::IdentityConflict* entry = out->add_conflicts();
    entry->set_kind(static_cast<v1::IdentityKind>(conflict.kind));
    entry->set_value(conflict.value);
    entry->set_lead(domain::NameOf(conflict.lead));
  }
}

}  // namespace relais::convert
