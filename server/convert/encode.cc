#include "server/convert/encode.h"

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "server/convert/rpc_status.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/ids.h"

namespace relais::convert {
namespace {

template <class P>
void Put(const std::optional<domain::Timestamp>& in, P mutable_time) {
  if (in) Encode(*in, mutable_time());
}

template <class P>
void Put(const std::optional<domain::Money>& in, P mutable_money) {
  if (in) Encode(*in, mutable_money());
}

// Money kept as text inside a record.
template <class P>
void PutMoneyText(const std::string& in, P mutable_money) {
  if (in.empty()) return;
  if (absl::StatusOr<domain::Money> money = domain::ParseMoney(in); money.ok()) {
    Encode(*money, mutable_money());
  }
}

// A time kept as decimal microseconds inside a record.
template <class P>
void PutMicrosText(const std::string& in, P mutable_time) {
  domain::Timestamp time;
  if (absl::SimpleAtoi(in, &time.micros)) Encode(time, mutable_time());
}

void Put(const std::vector<domain::ExternalId>& in,
         google::protobuf::RepeatedPtrField<v1::ExternalId>* out) {
  for (const domain::ExternalId& id : in) {
    v1::ExternalId* entry = out->Add();
    entry->set_system(id.system);
    entry->set_id(id.id);
  }
}

template <class E>
v1::Stage StageOf(E stage) {
  return static_cast<v1::Stage>(stage);
}

// "2026-..." of the rate so far; nothing where there is no rate or no end to reckon.
void PutProgress(const domain::Operation& in, v1::Operation* out) {
  domain::Timestamp until = in.end_time.value_or(in.update_time);
  int64_t micros = until.micros - in.create_time.micros;
  if (micros <= 0 || in.rows_read <= 0) return;
  double per_micro = static_cast<double>(in.rows_read) / static_cast<double>(micros);
  out->set_rows_per_second(per_micro * domain::kMicrosPerSecond);
  if (in.state != domain::OperationState::kRunning || in.rows_total < in.rows_read) return;
  double left = static_cast<double>(in.rows_total - in.rows_read) / per_micro;
  constexpr double kFarthest = 366.0 * domain::kMicrosPerDay;  // beyond a year it is a guess
  if (left > kFarthest) return;
  Encode(domain::Timestamp{until.micros + static_cast<int64_t>(left)},
         out->mutable_estimated_end_time());
}

}  // namespace

void Encode(domain::Timestamp in, google::protobuf::Timestamp* out) {
  int64_t seconds = in.micros / domain::kMicrosPerSecond;
  int64_t micros = in.micros % domain::kMicrosPerSecond;
  if (micros < 0) {
    micros += domain::kMicrosPerSecond;
    --seconds;
  }
  out->set_seconds(seconds);
  out->set_nanos(static_cast<int32_t>(micros) * 1000);
}

void Encode(const domain::Money& in, google::type::Money* out) {
  out->set_currency_code(in.currency_code);
  out->set_units(in.units);
  out->set_nanos(in.nanos);
}

void Encode(const domain::Consent& in, v1::Consent* out) {
  out->set_name(domain::NameOf(in.lead, in.id));
  out->set_channel(static_cast<v1::ConsentChannel>(in.channel));
  out->set_purpose(static_cast<v1::ConsentPurpose>(in.purpose));
  out->set_state(static_cast<v1::ConsentState>(in.state));
  out->set_legal_basis(static_cast<v1::LegalBasis>(in.legal_basis));
  out->set_wording_version(in.wording_version);
  out->set_source(in.source);
  out->set_proof(in.proof);
  Encode(in.occur_time, out->mutable_occur_time());
  Encode(in.create_time, out->mutable_create_time());
  out->set_actor(in.actor);
}

void Encode(const domain::Opportunity& in, v1::Opportunity* out) {
  out->set_name(domain::NameOf(in.id));
  out->set_lead(in.lead_name);
  out->set_display_name(in.display_name);
  out->set_state(static_cast<v1::OpportunityState>(in.state));
  out->set_pipeline(in.pipeline);
  out->set_stage(in.stage);
  out->set_probability_percent(in.probability_percent);
  Put(in.amount, [&] { return out->mutable_amount(); });
  for (const domain::LineItem& item : in.line_items) {
    v1::LineItem* entry = out->add_line_items();
    entry->set_product(item.product);
    entry->set_description(item.description);
    entry->set_quantity(item.quantity);
    PutMoneyText(item.unit_price, [&] { return entry->mutable_unit_price(); });
  }
  Put(in.expected_close_time, [&] { return out->mutable_expected_close_time(); });
  Put(in.requested_delivery_time, [&] { return out->mutable_requested_delivery_time(); });
  Put(in.promised_delivery_time, [&] { return out->mutable_promised_delivery_time(); });
  out->mutable_competitors()->Add(in.competitors.begin(), in.competitors.end());
  for (const domain::OpportunityContact& contact : in.contacts) {
    v1::OpportunityContact* entry = out->add_contacts();
    entry->set_lead(contact.lead);
    entry->set_role(contact.role);
  }
  out->mutable_objections()->Add(in.objections.begin(), in.objections.end());
  out->set_next_step(in.next_step);
  out->set_owner(in.owner);
  out->set_intention(in.intention);
  out->set_close_reason(in.close_reason);
  out->set_winning_competitor(in.winning_competitor);
  Put(in.external_ids, out->mutable_external_ids());
  out->mutable_labels()->insert(in.labels.begin(), in.labels.end());
  Encode(in.open_time, out->mutable_open_time());
  Encode(in.stage_time, out->mutable_stage_time());
  Put(in.close_time, [&] { return out->mutable_close_time(); });
  for (const auto& [stage, text] : in.stage_seconds) {
    int64_t seconds = 0;
    if (absl::SimpleAtoi(text, &seconds)) (*out->mutable_stage_seconds())[stage] = seconds;
  }
  out->set_reopen_count(in.reopen_count);
  Encode(in.create_time, out->mutable_create_time());
  Encode(in.update_time, out->mutable_update_time());
  out->set_etag(domain::EtagOf(in.revision));
}

void Encode(const domain::Pipeline& in, v1::Pipeline* out) {
  out->set_name(in.name());
  out->set_display_name(in.display_name);
  for (const domain::PipelineStage& stage : in.stages) {
    v1::PipelineStage* entry = out->add_stages();
    entry->set_stage(stage.id);
    entry->set_display_name(stage.display_name);
    entry->set_probability_percent(static_cast<int32_t>(stage.probability_percent));
    entry->mutable_required_fields()->Add(stage.required_fields.begin(),
                                          stage.required_fields.end());
  }
  out->set_built_in(in.built_in);
}

void Encode(const domain::User& in, v1::User* out) {
  out->set_name(domain::NameOf(in.id));
  out->set_display_name(in.display_name);
  out->set_email(in.email);
  out->mutable_teams()->Add(in.teams.begin(), in.teams.end());
  out->set_time_zone(in.time_zone);
  out->set_language(in.language);
  out->set_archived(in.archived);
  out->mutable_external_ids()->insert(in.external_ids.begin(), in.external_ids.end());
  out->set_calendar(in.calendar);
  for (const domain::Absence& absence : in.absences) {
    v1::Absence* entry = out->add_absences();
    PutMicrosText(absence.start_time, [&] { return entry->mutable_start_time(); });
    PutMicrosText(absence.end_time, [&] { return entry->mutable_end_time(); });
  }
  if (in.capacity.has_value()) out->set_capacity(*in.capacity);
  if (in.weight.has_value()) out->set_weight(*in.weight);
  out->mutable_territories()->Add(in.territories.begin(), in.territories.end());
  Encode(in.create_time, out->mutable_create_time());
  Encode(in.update_time, out->mutable_update_time());
  out->set_etag(domain::EtagOf(in.revision));
}

void Encode(const domain::Team& in, v1::Team* out) {
  out->set_name(domain::NameOf(in.id));
  out->set_display_name(in.display_name);
  out->set_parent_team(in.parent_team);
  out->set_calendar(in.calendar);
  out->set_archived(in.archived);
  Encode(in.create_time, out->mutable_create_time());
  Encode(in.update_time, out->mutable_update_time());
  out->set_etag(domain::EtagOf(in.revision));
}

void Encode(const domain::Import& in, v1::Import* out) {
  out->set_name(domain::NameOf(in.id));
  out->set_display_name(in.display_name);
  out->set_state(static_cast<v1::ImportState>(in.state));
  out->set_committed_row(in.committed_row);
  out->set_rows_total(in.rows_total);
  out->set_rows_done(in.rows_done);
  out->set_rows_unchanged(in.rows_unchanged);
  out->set_rows_failed(in.rows_failed);
  out->set_operation(in.operation);
  out->set_actor(in.actor);
  Encode(in.create_time, out->mutable_create_time());
  Encode(in.update_time, out->mutable_update_time());
}

void Encode(const domain::Operation& in, v1::Operation* out) {
  out->set_name(domain::NameOf(in.id));
  out->set_kind(in.kind);
  out->set_state(static_cast<v1::OperationState>(in.state));
  out->set_target(in.target);
  out->set_rows_total(in.rows_total);
  out->set_rows_read(in.rows_read);
  out->set_rows_done(in.rows_done);
  out->set_rows_failed(in.rows_failed);
  PutProgress(in, out);
  if (in.error_code != 0) {
    out->mutable_error()->set_code(static_cast<int32_t>(in.error_code));
    out->mutable_error()->set_message(in.error_message);
  }
  out->set_actor(in.actor);
  Encode(in.create_time, out->mutable_create_time());
  Encode(in.update_time, out->mutable_update_time());
  Put(in.end_time, [&] { return out->mutable_end_time(); });
}

void Encode(const commands::ImportRowResult& in, std::string_view call_id,
            v1::ImportRowResult* out) {
  out->set_row(in.row);
  out->set_outcome(static_cast<v1::ImportRowOutcome>(in.outcome));
  out->set_resource(in.resource);
  if (!in.status.ok()) *out->mutable_status() = ToRpcStatus(in.status, call_id);
}

void Encode(const commands::UnmergedLeads& in, v1::UnmergeLeadResponse* out) {
  Encode(in.lead, out->mutable_lead());
  Encode(in.survivor, out->mutable_survivor());
}

void Encode(const domain::LeadId& lead, const domain::DuplicateComparison& in,
            v1::FindDuplicatesResponse::Candidate* out) {
  out->set_lead(domain::NameOf(lead));
  out->set_score(in.score);
  for (const domain::DuplicateEvidence& evidence : in.evidence) {
    v1::DuplicateEvidence* entry = out->add_reasons();
    entry->set_reason(static_cast<v1::DuplicateReason>(evidence.reason));
    entry->set_likeness(static_cast<v1::Likeness>(evidence.likeness));
    entry->set_weight(evidence.weight);
  }
}

}  // namespace relais::convert
