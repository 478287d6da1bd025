#include "server/convert/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <memory>

#include "absl/strings/escaping.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/domain/concat.h"

namespace relais::convert {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// What a retry may change without being another request.
bool IsHandling(const FieldDescriptor& field) {
  return field.name() == "request_id" || field.name() == "validate_only" || field.name() == "etag";
}

void ClearHandling(Message& request) {
  const google::protobuf::Reflection* reflection = request.GetReflection();
  const google::protobuf::Descriptor* type = request.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (IsHandling(*field)) {
      reflection->ClearField(&request, field);
    } else if (!field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
               reflection->HasField(request, field)) {
      if (const FieldDescriptor* etag = field->message_type()->FindFieldByName("etag")) {
        Message* resource = reflection->MutableMessage(&request, field);
        resource->GetReflection()->ClearField(resource, etag);
      }
    }
  }
}

}  // namespace

std::string HmacSha256(std::string_view key, std::string_view data) {
  std::array<unsigned char, 32> out{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(), out.data(), &size);
  return std::string(reinterpret_cast<const char*>(out.data()), size);
}

std::string Digester::Digest(std::string_view method, const Message& request) const {
  std::unique_ptr<Message> copy(request.New());
  copy->CopyFrom(request);
  copy->DiscardUnknownFields();
  ClearHandling(*copy);

  std::string data(method);
  data += '\0';
  {
    google::protobuf::io::StringOutputStream stream(&data);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    copy->SerializePartialToCodedStream(&out);
  }
  return absl::BytesToHexString(HmacSha256(key_, data));
}

}  // namespace relais::convert
