// Conversion of record lists (a vector of structs with text members) to and from Value, once for
// all of them: a struct states its members in kMembers and here in the same order.
#pragma once

#include <string>
#include <vector>

#include "server/domain/value.h"

namespace relais::domain {

// `Refs(record)` returns a std::array of pointers to the text members, in the order of kMembers.
template <class R, class Refs>
Value RecordsToValue(const std::vector<R>& records, Refs refs) {
  if (records.empty()) return Value();
  ValueList list;
  for (const R& record : records) {
    ValueMap map;
    auto members = refs(record);
    for (size_t i = 0; i < members.size(); ++i) {
      if (!members[i]->empty()) map.emplace(std::string(R::kMembers[i]), *members[i]);
    }
    list.emplace_back(std::move(map));
  }
  return Value(std::move(list));
}

template <class R, class Refs>
void RecordsFromValue(const Value& v, std::vector<R>& out, Refs refs) {
  out.clear();
  const ValueList* list = v.if_list();
  if (list == nullptr) return;
  for (const Value& item : *list) {
    R record;
    if (const ValueMap* map = item.if_map()) {
      auto members = refs(record);
      for (size_t i = 0; i < members.size(); ++i) {
        auto it = map->find(std::string(R::kMembers[i]));
        if (it != map->end() && it->second.if_text()) *members[i] = *it->second.if_text();
      }
    }
    out.push_back(std::move(record));
  }
}

}  // namespace relais::domain
