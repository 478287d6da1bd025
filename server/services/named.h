// Reading what is found by its name: entities by id, and configuration, which is small and held in
// memory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/services/serve.h"

namespace relais::services {

// One entity, or NOT_FOUND.
template <class Response, class Tag, class Entity>
absl::Status Get(
    Reply<Response>& reply, const domain::Id<Tag>& id, std::string_view type,
    absl::StatusOr<std::optional<Entity>> (storage::ReadTxn::*find)(const domain::Id<Tag>&)) {
  return Read(
      reply,
      [id, type = std::string(type), find](storage::ReadTxn& txn, Response& out) -> absl::Status {
        ASSIGN_OR_RETURN(std::optional<Entity> found, (txn.*find)(id));
        if (!found.has_value()) return domain::NotFound(type, domain::NameOf(id));
        convert::Encode(*found, &out);
        return absl::OkStatus();
      });
}

// A piece of configuration and the name that its pages are ordered by.
template <class T>
struct Named {
  std::string name;
  const T* value;
};

// A page of `all`, which is ordered by name.
template <class Response, class T, class Message>
void FillNamePage(const Reply<Response>& reply, const convert::NamePage& page,
                  const std::vector<Named<T>>& all,
                  google::protobuf::RepeatedPtrField<Message>& items, Response& out) {
  std::string_view last;
  for (const Named<T>& each : all) {
    if (each.name <= page.after) continue;
    if (items.size() == page.limit) {
      out.set_next_page_token(convert::NextPageToken(reply.decoding(), page, last));
      return;
    }
    convert::Encode(*each.value, items.Add());
    last = each.name;
  }
}

}  // namespace relais::services
