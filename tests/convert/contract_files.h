// The contract as protobuf describes it: every file of relais.v1 with what it declares.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "relais/v1/directory_service.pb.h"
#include "relais/v1/event_service.pb.h"
#include "relais/v1/import_service.pb.h"
#include "relais/v1/insight_service.pb.h"
#include "relais/v1/lead_service.pb.h"
#include "relais/v1/operations_service.pb.h"
#include "relais/v1/opportunity_service.pb.h"
#include "relais/v1/options.pb.h"
#include "relais/v1/privacy_service.pb.h"
#include "relais/v1/qualification_service.pb.h"

namespace relais::convert {

inline void AddFile(const google::protobuf::FileDescriptor* file,
                    std::set<const google::protobuf::FileDescriptor*>& files) {
  if (file->package() != "relais.v1" || !files.insert(file).second) return;
  for (int i = 0; i < file->dependency_count(); ++i) AddFile(file->dependency(i), files);
}

inline std::set<const google::protobuf::FileDescriptor*> ContractFiles() {
  std::set<const google::protobuf::FileDescriptor*> files;
  AddFile(v1::CreateUserRequest::descriptor()->file(), files);
  AddFile(v1::WatchRequest::descriptor()->file(), files);
  AddFile(v1::ImportRowsRequest::descriptor()->file(), files);
  AddFile(v1::GetFunnelRequest::descriptor()->file(), files);
  AddFile(v1::CaptureLeadRequest::descriptor()->file(), files);
  AddFile(v1::GetOperationRequest::descriptor()->file(), files);
  AddFile(v1::GetOpportunityRequest::descriptor()->file(), files);
  AddFile(v1::SetConsentRequest::descriptor()->file(), files);
  AddFile(v1::AssessLeadRequest::descriptor()->file(), files);
  return files;
}

inline std::vector<const google::protobuf::MethodDescriptor*> ContractMethods() {
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const google::protobuf::FileDescriptor* file : ContractFiles()) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.push_back(file->service(s)->method(m));
      }
    }
  }
  return methods;
}

inline bool IsOurs(const google::protobuf::Descriptor& message) {
  return message.file()->package() == "relais.v1" && !message.options().map_entry();
}

inline void AddMessage(const google::protobuf::Descriptor* message,
                       std::vector<const google::protobuf::Descriptor*>& messages) {
  if (!IsOurs(*message)) return;
  messages.push_back(message);
  for (int i = 0; i < message->nested_type_count(); ++i) {
    AddMessage(message->nested_type(i), messages);
  }
}

inline std::vector<const google::protobuf::Descriptor*> ContractMessages() {
  std::vector<const google::protobuf::Descriptor*> messages;
  for (const google::protobuf::FileDescriptor* file : ContractFiles()) {
    for (int i = 0; i < file->message_type_count(); ++i) {
      AddMessage(file->message_type(i), messages);
    }
  }
  return messages;
}

inline bool IsMarkedPersonal(const google::protobuf::FieldDescriptor& field) {
  return field.options().GetExtension(v1::personal);
}

}  // namespace relais::convert
