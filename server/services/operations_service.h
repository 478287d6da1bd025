// OperationsService: long work, shown, followed and ended.
#pragma once

#include "relais/v1/operations_service.pb.h"
#include "server/services/serve.h"
#include "server/services/streams.h"

namespace relais::services {

// WatchOperation: the operation now and after each change, until it has ended.
class OperationStream final : public ServerStream<v1::WatchOperationRequest, v1::Operation> {
 public:
  using ServerStream::ServerStream;

 private:
  absl::Status Start(const v1::WatchOperationRequest& request) override;
  void Produce() override;

  WatcherPlace place_;
  domain::OperationId id_;
  int64_t sent_revision_ = 0;
  bool sent_last_ = false;
};

class OperationsService final : public Endpoint {
 public:
  explicit OperationsService(const Edge& edge);

 private:
  absl::Status GetOperation(Reply<v1::Operation>& reply, const v1::GetOperationRequest& request);
  absl::Status ListOperations(Reply<v1::ListOperationsResponse>& reply,
                              const v1::ListOperationsRequest& request);
  absl::Status CancelOperation(Reply<v1::Operation>& reply,
                               const v1::CancelOperationRequest& request);
};

}  // namespace relais::services
