// A filter evaluated in memory; storage/sql/filter_sql.h is the other back end and agrees with it.
//
// Pure; safe from any thread as long as the subject is not changed meanwhile.
#pragma once

#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/types/span.h"
#include "server/domain/fields.h"
#include "server/domain/filter.h"
#include "server/domain/value.h"

namespace relais::domain {

// What a filter looks at.
class FilterSubject {
 public:
  virtual ~FilterSubject() = default;

  // The value of a field of the schema that the filter was checked against; absent where the
  // subject has none. Record lists: a list of maps from member to text.
  virtual Value Get(const FilterField& field) const = 0;

  // Calls `visit` for every child of the named collection, in any order.
  virtual void EachChild(std::string_view collection,
                         absl::FunctionRef<void(const FilterSubject&)> visit) const;
};

// `now` is what now() means and where windows end.
bool Matches(const Filter& filter, const FilterSubject& subject, Timestamp now);

// An entity read through its field table. The entity and the children must outlive the subject.
template <class E>
class EntitySubject final : public FilterSubject {
 public:
  explicit EntitySubject(const E& entity) : entity_(&entity) {}
  EntitySubject(const E& entity, std::string_view collection,
                absl::Span<const FilterSubject* const> children)
      : entity_(&entity), collection_(collection), children_(children) {}

  Value Get(const FilterField& field) const override {
    absl::Span<const Field<E>> fields = FieldsOf<E>();
    if (field.ordinal < fields.size() && fields[field.ordinal].spec.path == field.path) {
      return fields[field.ordinal].get(*entity_);
    }
    const Field<E>* found = FindField<E>(field.path);
    return found == nullptr ? Value() : found->get(*entity_);
  }

  void EachChild(std::string_view collection,
                 absl::FunctionRef<void(const FilterSubject&)> visit) const override {
    if (collection != collection_) return;
    for (const FilterSubject* child : children_) visit(*child);
  }

 private:
  const E* entity_;
  std::string_view collection_;
  absl::Span<const FilterSubject* const> children_;
};

}  // namespace relais::domain
