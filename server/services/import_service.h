// ImportService: lists in and out, by chunks.
#pragma once

#include "relais/v1/import_service.pb.h"
#include "server/services/serve.h"
#include "server/services/streams.h"

namespace relais::services {

// ImportLeads: one chunk at a time, each its own transaction, by the code of ImportRows.
class ImportStream final : public BidiStream<v1::ImportRowsRequest, v1::ImportRowsResponse> {
 public:
  using BidiStream::BidiStream;

 private:
  void Handle(const v1::ImportRowsRequest& request) override;
};

// ExportLeads: pages of leads by keyset, each page one message and one short transaction, so that a
// slow reader holds nothing open.
class ExportStream final : public ServerStream<v1::ExportLeadsRequest, v1::ExportLeadsResponse> {
 public:
  using ServerStream::ServerStream;

 private:
  absl::Status Start(const v1::ExportLeadsRequest& request) override;
  void Produce() override;

  storage::ListQuery query_;
  int64_t sent_ = 0;
  bool complete_ = false;
};

class ImportService final : public Endpoint {
 public:
  explicit ImportService(const Edge& edge);

 private:
  absl::Status ImportRows(Reply<v1::ImportRowsResponse>& reply,
                          const v1::ImportRowsRequest& request);
  absl::Status GetImport(Reply<v1::Import>& reply, const v1::GetImportRequest& request);
  absl::Status ListImports(Reply<v1::ListImportsResponse>& reply,
                           const v1::ListImportsRequest& request);
};

}  // namespace relais::services
