// What a filter may name: the paths of one kind of thing, with their types.
//
// A schema is a value; the domain builds it from field tables (SchemaOf), convert from message
// descriptors or attribute definitions. Filters keep the fields they name alive, so a schema may go
// away before the filters that were checked against it. Immutable once shared between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/domain/fields.h"

namespace relais::domain {

struct FilterField {
  std::string path;    // "person.emails"
  std::string column;  // "person_emails"; empty: the path with '.' turned into '_'
  FieldType type = FieldType::kText;
  const EnumNames* enumeration = nullptr;  // kEnum only; must outlive the schema and its filters
  std::vector<std::string> members = {};   // kRecordList only
  bool personal = false;
  bool nullable = true;  // false: never absent, for back ends that can use it
  size_t ordinal = 0;    // place in the entity's field table; a hint for EntitySubject
};

class FilterSchema;

// Things that belong to the subject and can be counted: `count(touchpoints, ...)`.
struct FilterCollection {
  std::string name;
  std::shared_ptr<const FilterSchema> schema;
  std::shared_ptr<const FilterField> time;  // what windows and last() look at
};

class FilterSchema {
 public:
  using Fields = std::map<std::string, std::shared_ptr<const FilterField>, std::less<>>;

  // INVALID_ARGUMENT: a path or column that is not lower_snake words (paths: joined by dots; both
  // reach SQL as they are), an enum field without names, a type that cannot be filtered (kBlob).
  // ALREADY_EXISTS: the path is taken.
  absl::Status Add(FilterField field);

  // NOT_FOUND: `time_path` is not a time field of `schema`. INVALID_ARGUMENT: `schema` has
  // collections itself, or the name is not a lower_snake word. ALREADY_EXISTS: the name is taken.
  absl::Status AddCollection(std::string name, FilterSchema schema, std::string_view time_path);

  // Null when there is none of that name.
  std::shared_ptr<const FilterField> Find(std::string_view path) const;
  std::shared_ptr<const FilterCollection> FindCollection(std::string_view name) const;

  const Fields& fields() const { return fields_; }
  std::vector<std::string> collection_names() const;

  // The same schema without personal fields, also in its collections: for filters over events and
  // for callers who may not see personal data.
  FilterSchema WithoutPersonal() const;

  // At most three paths that look like a mistyped one, nearest first.
  std::vector<std::string> CloseMatches(std::string_view path) const;

 private:
  Fields fields_;
  std::map<std::string, std::shared_ptr<const FilterCollection>, std::less<>> collections_;
};

// The filterable fields of an entity's table.
template <class E>
FilterSchema SchemaOf() {
  FilterSchema schema;
  size_t ordinal = 0;
  for (const Field<E>& field : FieldsOf<E>()) {
    const FieldSpec& spec = field.spec;
    if (spec.filterable && spec.type != FieldType::kBlob) {
      FilterField out;
      out.path = std::string(spec.path);
      out.type = spec.type;
      out.enumeration = spec.enumeration;
      out.members.assign(spec.members.begin(), spec.members.end());
      out.personal = spec.personal;
      out.ordinal = ordinal;
      // A table with a path that Add refuses is a mistake of the table: the path is then unknown to
      // every filter, which the entity's own test shows.
      schema.Add(std::move(out)).IgnoreError();
    }
    ++ordinal;
  }
  return schema;
}

}  // namespace relais::domain
