#include <optional>

#include "server/convert/encode.h"
#include "server/domain/faults.h"
#include "server/domain/ids.h"

namespace relais::convert {

void Encode(const domain::Calendar& in, v1::Calendar* out) {
  out->set_name(domain::NameOf(in.id));
  out->set_display_name(in.display_name);
  out->set_time_zone(in.time_zone);
  for (const domain::WorkingHours& hours : in.working_hours) {
    v1::WorkingHours* entry = out->add_working_hours();
    entry->set_day(static_cast<v1::Weekday>(
        domain::EnumTraits<domain::Weekday>::names().Number(hours.day).value_or(0)));
    entry->set_start(hours.start);
    entry->set_end(hours.end);
  }
  for (const domain::Holiday& holiday : in.holidays) {
    v1::Holiday* entry = out->add_holidays();
    entry->set_date(holiday.date);
    entry->set_display_name(holiday.display_name);
  }
  out->set_archived(in.archived);
  Encode(in.create_time, out->mutable_create_time());
  Encode(in.update_time, out->mutable_update_time());
  out->set_etag(domain::EtagOf(in.revision));
}

void Encode(const domain::Handoff& in, v1::Handoff* out) {
  out->set_name(domain::NameOf(in.id));
  out->set_lead(in.lead_name);
  out->set_state(static_cast<v1::HandoffState>(in.state));
  out->set_trigger(static_cast<v1::HandoffTrigger>(in.trigger));
  out->set_owner(in.owner);
  out->set_team(in.team);
  out->set_routing_rule(in.routing_rule);
  out->set_calendar(in.calendar);
  out->set_score(in.score);
  out->set_reason(in.reason);
  out->set_reject_reason(in.reject_reason);
  out->mutable_earlier_owners()->Add(in.earlier_owners.begin(), in.earlier_owners.end());
  out->set_escalation_count(in.escalation_count);
  out->set_reassignment_count(in.reassignment_count);
  Encode(in.due_time, out->mutable_due_time());
  Encode(in.trigger_time, out->mutable_trigger_time());
  Encode(in.assign_time, out->mutable_assign_time());
  if (in.first_response_time) Encode(*in.first_response_time, out->mutable_first_response_time());
  if (in.close_time) Encode(*in.close_time, out->mutable_close_time());
  out->set_system_seconds(in.system_seconds);
  if (in.human_seconds) out->set_human_seconds(*in.human_seconds);
  if (in.human_working_seconds) out->set_human_working_seconds(*in.human_working_seconds);
  Encode(in.create_time, out->mutable_create_time());
  Encode(in.update_time, out->mutable_update_time());
  out->set_etag(domain::EtagOf(in.revision));
}

void Encode(const domain::StoredRoutingRule& in, v1::RoutingRule* out) {
  const domain::RoutingRule& rule = in.rule;
  out->set_name(rule.name());
  out->set_display_name(rule.display_name);
  out->set_position(rule.position);
  out->set_filter(rule.filter_text);
  out->mutable_users()->Add(rule.users.begin(), rule.users.end());
  out->set_team(rule.team);
  out->set_strategy(static_cast<v1::RoutingStrategy>(rule.strategy));
  out->set_match_territory(rule.match_territory);
  out->set_archived(in.archived);
  out->set_revision(rule.revision);
  Encode(in.create_time, out->mutable_create_time());
  out->set_etag(domain::EtagOf(rule.revision));
}

void Encode(const domain::HandoffPolicy& in, v1::HandoffPolicy* out) {
  out->set_name(in.name());
  out->set_display_name(in.display_name);
  out->set_market(static_cast<v1::Market>(in.market));
  out->set_trigger(static_cast<v1::HandoffTrigger>(in.trigger));
  out->set_response_minutes(in.response_minutes);
  out->set_max_escalations(in.max_escalations);
  out->set_revision(in.revision);
  out->set_etag(domain::EtagOf(in.revision));
}

void Encode(const domain::Segment& in, v1::Segment* out) {
  out->set_name(domain::NameOf(in.id));
  out->set_display_name(in.display_name);
  out->set_description(in.description);
  out->set_filter(in.filter);
  out->set_state(static_cast<v1::SegmentState>(in.state));
  out->set_time_dependent(in.time_dependent);
  if (in.ready_time) Encode(*in.ready_time, out->mutable_ready_time());
  Encode(in.create_time, out->mutable_create_time());
  Encode(in.update_time, out->mutable_update_time());
  out->set_etag(domain::EtagOf(in.revision));
}

}  // namespace relais::convert
