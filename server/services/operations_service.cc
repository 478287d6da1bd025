#include "server/services/operations_service.h"

#include <memory>
#include <optional>
#include <utility>

#include "server/services/named.h"

namespace relais::services {

absl::Status OperationStream::Start(const v1::WatchOperationRequest& request) {
  ASSIGN_OR_RETURN(id_, convert::ParseWatchOperation(request, exchange().decoding()));
  return place_.Take(edge());
}

void OperationStream::Produce() {
  if (sent_last_) return End(absl::OkStatus());
  struct Seen {
    domain::Operation operation;
    storage::FeedHead head;
  };
  auto seen = std::make_shared<Seen>();
  ReadStore(
      [seen, id = id_](storage::ReadTxn& txn) -> absl::Status {
        ASSIGN_OR_RETURN(std::optional<domain::Operation> found, txn.GetOperation(id));
        if (!found.has_value()) return domain::NotFound("Operation", domain::NameOf(id));
        seen->operation = *std::move(found);
        ASSIGN_OR_RETURN(seen->head, txn.Head());
        return absl::OkStatus();
      },
      [this, seen](const absl::Status& status) {
        if (!status.ok()) return End(status);
        if (seen->operation.revision == sent_revision_) {
          return AwaitFeed(seen->head.number,
                           std::chrono::steady_clock::now() + edge().feed.timing().heartbeat,
                           [this](bool) { Next(); });
        }
        sent_revision_ = seen->operation.revision;
        sent_last_ = seen->operation.state != domain::OperationState::kRunning;
        Send(convert::ToProto(seen->operation));
      });
}

OperationsService::OperationsService(const Edge& edge)
    : Endpoint(edge, "relais.v1.OperationsService") {
  Unary("GetOperation", &OperationsService::GetOperation);
  Unary("ListOperations", &OperationsService::ListOperations);
  Unary("CancelOperation", &OperationsService::CancelOperation);
  ServerStreaming<OperationStream>("WatchOperation");
}

absl::Status OperationsService::GetOperation(Reply<v1::Operation>& reply,
                                             const v1::GetOperationRequest& request) {
  ASSIGN_OR_RETURN(domain::OperationId id, convert::ParseGetOperation(request, reply.decoding()));
  return Get(reply, id, "Operation", &storage::ReadTxn::GetOperation);
}

absl::Status OperationsService::ListOperations(Reply<v1::ListOperationsResponse>& reply,
                                               const v1::ListOperationsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListOperations(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListOperations,
              [](v1::ListOperationsResponse& out) { return out.mutable_operations(); });
}

absl::Status OperationsService::CancelOperation(Reply<v1::Operation>& reply,
                                                const v1::CancelOperationRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCancelOperation(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

}  // namespace relais::services
