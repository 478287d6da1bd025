#include <string>
#include <utility>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

template <class Tag>
std::optional<domain::Id<Tag>> Optional(domain::Id<Tag> id) {
  return id.empty() ? std::nullopt : std::optional<domain::Id<Tag>>(std::move(id));
}

template <class R>
commands::HandoffActionCommand ReadAction(const R& request, commands::HandoffAction action,
                                          Reader& reader) {
  commands::HandoffActionCommand command;
  command.action = action;
  command.handoff = reader.Name<domain::HandoffTag>("name", request.name(), Presence::kRequired);
  command.etag = reader.Etag("etag", request.etag());
  return command;
}

}  // namespace

absl::StatusOr<Parsed<commands::CreateHandoffCommand>> ParseCreateHandoff(
    const v1::CreateHandoffRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::CreateHandoffCommand command;
  Path field("handoff");
  const v1::Handoff& in = request.handoff();
  command.lead = reader.Name<domain::LeadTag>(Path(field, "lead"), in.lead(), Presence::kRequired);
  command.owner =
      Optional(reader.Name<domain::UserTag>(Path(field, "owner"), in.owner(), Presence::kOptional));
  command.team =
      Optional(reader.Name<domain::TeamTag>(Path(field, "team"), in.team(), Presence::kOptional));
  command.reason = reader.Text(Path(field, "reason"), in.reason());
  return Finish(std::move(command), request, "CreateHandoff", reader, context);
}

absl::StatusOr<Parsed<commands::HandoffActionCommand>> ParseAcceptHandoff(
    const v1::AcceptHandoffRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto command = ReadAction(request, commands::HandoffAction::kAccept, reader);
  command.owner =
      Optional(reader.Name<domain::UserTag>("user", request.user(), Presence::kOptional));
  return Finish(std::move(command), request, "AcceptHandoff", reader, context);
}

absl::StatusOr<Parsed<commands::HandoffActionCommand>> ParseRejectHandoff(
    const v1::RejectHandoffRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto command = ReadAction(request, commands::HandoffAction::kReject, reader);
  command.reason = reader.Text("reason", request.reason(), kRequiredText);
  return Finish(std::move(command), request, "RejectHandoff", reader, context);
}

absl::StatusOr<Parsed<commands::HandoffActionCommand>> ParseReassignHandoff(
    const v1::ReassignHandoffRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto command = ReadAction(request, commands::HandoffAction::kReassign, reader);
  command.owner =
      Optional(reader.Name<domain::UserTag>("owner", request.owner(), Presence::kOptional));
  command.team =
      Optional(reader.Name<domain::TeamTag>("team", request.team(), Presence::kOptional));
  command.reason = reader.Text("reason", request.reason());
  return Finish(std::move(command), request, "ReassignHandoff", reader, context);
}

absl::StatusOr<domain::HandoffId> ParseGetHandoff(const v1::GetHandoffRequest& request,
                                                  const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto id = reader.Name<domain::HandoffTag>("name", request.name(), Presence::kRequired);
  if (!violations.empty()) return violations.ToStatus();
  return id;
}

absl::StatusOr<ListPage> ParseListHandoffs(const v1::ListHandoffsRequest& request,
                                           const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  ASSIGN_OR_RETURN(OrderBy order, ParseOrderBy(request.order_by(), HandoffOrders()));
  return ReadList(request,
                  {.method = "ListHandoffs",
                   .schema = &HandoffFilterSchema(),
                   .filter = request.filter(),
                   .order_path = order.path == "queue" ? "priority" : std::move(order.path),
                   .descending = order.descending},
                  reader, context);
}

}  // namespace relais::convert
