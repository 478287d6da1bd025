#include "storage/store.h"

namespace relais::storage {

Keys& Keys::Lead(const domain::LeadId& id, uint32_t plan) {
  leads[id.value] |= plan;
  return *this;
}
Keys& Keys::Identity(domain::IdentityKind kind, std::string value, uint32_t plan) {
  identities[{kind, std::move(value)}] |= plan;
  return *this;
}
Keys& Keys::Opportunity(const domain::OpportunityId& id, uint32_t plan) {
  opportunities[id.value] |= plan;
  return *this;
}
Keys& Keys::OpportunityKey(std::string system, std::string id, uint32_t plan) {
  opportunity_keys[{std::move(system), std::move(id)}] |= plan;
  return *this;
}
Keys& Keys::TouchpointKey(std::string source, std::string external_id) {
  touchpoint_keys.emplace_back(std::move(source), std::move(external_id));
  return *this;
}
Keys& Keys::Touchpoint(const domain::TouchpointId& id) {
  touchpoints.push_back(id.value);
  return *this;
}
Keys& Keys::Consent(const domain::ConsentId& id) {
  consents.push_back(id.value);
  return *this;
}
Keys& Keys::User(const domain::UserId& id) {
  users.push_back(id.value);
  return *this;
}
Keys& Keys::UserKey(std::string kind, std::string value) {
  user_keys.emplace_back(std::move(kind), std::move(value));
  return *this;
}
Keys& Keys::Team(const domain::TeamId& id) {
  teams.push_back(id.value);
  return *this;
}
Keys& Keys::TeamKey(std::string kind, std::string value) {
  team_keys.emplace_back(std::move(kind), std::move(value));
  return *this;
}
Keys& Keys::Import(const domain::ImportId& id) {
  imports.push_back(id.value);
  return *this;
}
Keys& Keys::Operation(const domain::OperationId& id) {
  operations.push_back(id.value);
  return *this;
}
Keys& Keys::Configuration(domain::ConfigKind kind) {
  configurations.push_back(kind);
  return *this;
}
Keys& Keys::Calendar(const domain::CalendarId& id) {
  calendars.push_back(id.value);
  return *this;
}
Keys& Keys::Handoff(const domain::HandoffId& id, uint32_t plan) {
  handoffs[id.value] |= plan;
  return *this;
}
Keys& Keys::Segment(const domain::SegmentId& id) {
  segments.push_back(id.value);
  return *this;
}
Keys& Keys::SegmentMember(const domain::SegmentId& segment, const domain::LeadId& lead) {
  segment_members.emplace_back(segment.value, lead.value);
  return *this;
}
Keys& Keys::Directory() {
  directory = true;
  return *this;
}
Keys& Keys::Rotation() {
  directory = true;
  rotation = true;
  return *this;
}
Keys& Keys::Reaction(std::string name) {
  reactions.push_back(std::move(name));
  return *this;
}
Keys& Keys::Request(std::string request_id) {
  if (!request_id.empty()) requests.push_back(std::move(request_id));
  return *this;
}

Keys& Keys::Add(const Keys& other) {
  for (const auto& [id, plan] : other.leads) leads[id] |= plan;
  for (const auto& [key, plan] : other.identities) identities[key] |= plan;
  for (const auto& [id, plan] : other.opportunities) opportunities[id] |= plan;
  for (const auto& [key, plan] : other.opportunity_keys) opportunity_keys[key] |= plan;
  auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(touchpoint_keys, other.touchpoint_keys);
  append(touchpoints, other.touchpoints);
  append(consents, other.consents);
  append(users, other.users);
  append(user_keys, other.user_keys);
  append(teams, other.teams);
  append(team_keys, other.team_keys);
  append(imports, other.imports);
  append(operations, other.operations);
  append(configurations, other.configurations);
  append(requests, other.requests);
  append(calendars, other.calendars);
  append(reactions, other.reactions);
  append(segments, other.segments);
  append(segment_members, other.segment_members);
  for (const auto& [id, plan] : other.handoffs) handoffs[id] |= plan;
  directory = directory || other.directory;
  rotation = rotation || other.rotation;
  return *this;
}

}  // namespace relais::storage
