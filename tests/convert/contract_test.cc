// The contract and the domain say the same thing twice: enums, fields, what is personal. These
// tests compare them by reflection, so that neither can change alone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "server/convert/update_mask.h"
#include "server/domain/directory.h"
#include "server/domain/enums.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/segment.h"
#include "tests/convert/contract_files.h"

namespace relais::convert {
namespace {

using domain::FieldType;
using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using ::testing::IsEmpty;

std::string UpperSnake(const std::string& camel) {
  std::string out;
  for (char c : camel) {
    if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !out.empty()) out += '_';
    out += absl::ascii_toupper(static_cast<unsigned char>(c));
  }
  return out;
}

// ---- Files ------------------------------------------------------------------------------------

TEST(ContractFilesTest, EveryFileOfTheContractIsLookedAt) {
  std::set<std::string> on_disk, known;
  for (const auto& entry : std::filesystem::directory_iterator(RELAIS_PROTO_DIR "/relais/v1")) {
    if (entry.path().extension() == ".proto") {
      on_disk.insert("relais/v1/" + entry.path().filename().string());
    }
  }
  for (const FileDescriptor* file : ContractFiles()) known.insert(file->name());
  EXPECT_EQ(known, on_disk);
}

// ---- Enums ------------------------------------------------------------------------------------

std::map<std::string, const domain::EnumNames*> DomainEnums() {
  std::map<std::string, const domain::EnumNames*> enums;
  auto add = [&](const domain::EnumNames& names) { enums[std::string(names.type)] = &names; };
  add(domain::EnumTraits<domain::Stage>::names());
  add(domain::EnumTraits<domain::Market>::names());
  add(domain::EnumTraits<domain::Maturity>::names());
  add(domain::EnumTraits<domain::Channel>::names());
  add(domain::EnumTraits<domain::TouchpointKind>::names());
  add(domain::EnumTraits<domain::ConsentChannel>::names());
  add(domain::EnumTraits<domain::ConsentPurpose>::names());
  add(domain::EnumTraits<domain::ConsentState>::names());
  add(domain::EnumTraits<domain::LegalBasis>::names());
  add(domain::EnumTraits<domain::CriterionState>::names());
  add(domain::EnumTraits<domain::CriterionKind>::names());
  add(domain::EnumTraits<domain::AuthorityRole>::names());
  add(domain::EnumTraits<domain::NeedSeverity>::names());
  add(domain::EnumTraits<domain::AssessmentSource>::names());
  add(domain::EnumTraits<domain::ScoreDimension>::names());
  add(domain::EnumTraits<domain::ScoreBand>::names());
  add(domain::EnumTraits<domain::QualificationRound>::names());
  add(domain::EnumTraits<domain::OpportunityState>::names());
  add(domain::EnumTraits<domain::CloseOutcome>::names());
  add(domain::EnumTraits<domain::IdentityKind>::names());
  add(domain::EnumTraits<domain::CaptureOutcome>::names());
  add(domain::EnumTraits<domain::ImportState>::names());
  add(domain::EnumTraits<domain::ImportRowOutcome>::names());
  add(domain::EnumTraits<domain::OperationState>::names());
  add(domain::EnumTraits<domain::RevisionState>::names());
  add(domain::EnumTraits<domain::Weekday>::names());
  add(domain::EnumTraits<domain::HandoffState>::names());
  add(domain::EnumTraits<domain::HandoffTrigger>::names());
  add(domain::EnumTraits<domain::RoutingStrategy>::names());
  add(domain::EnumTraits<domain::SegmentState>::names());
  add(domain::EnumTraits<domain::DuplicateReason>::names());
  add(domain::EnumTraits<domain::Likeness>::names());
  add(domain::EnumTraits<domain::EventType>::names());
  return enums;
}

TEST(ContractEnumTest, NumbersAndNamesAreThoseOfTheDomain) {
  std::map<std::string, const domain::EnumNames*> domain_enums = DomainEnums();
  // Enums of transport: roles' reach, and how a figure is broken down.
  const std::set<std::string> contract_only = {"Scope", "FunnelBreakdown"};
  for (const FileDescriptor* file : ContractFiles()) {
    for (int i = 0; i < file->enum_type_count(); ++i) {
      const EnumDescriptor* type = file->enum_type(i);
      if (contract_only.contains(type->name())) continue;
      SCOPED_TRACE(type->full_name());
      ASSERT_TRUE(domain_enums.contains(type->name()));
      const domain::EnumNames& names = *domain_enums[type->name()];
      domain_enums.erase(type->name());
      ASSERT_EQ(static_cast<size_t>(type->value_count()), names.names.size());
      for (int v = 0; v < type->value_count(); ++v) {
        EXPECT_EQ(type->value(v)->number(), v);
        EXPECT_EQ(type->value(v)->name(),
                  UpperSnake(type->name()) + "_" + std::string(names.names[v]));
      }
    }
  }
  EXPECT_THAT(domain_enums, IsEmpty()) << "the domain has enums that the contract lacks";
}

// ---- Fields -----------------------------------------------------------------------------------

// What the two sides call differently, and what only one of them has.
struct Differences {
  std::set<std::string> internal;  // table paths that the contract does not show
  std::set<std::string> derived;   // contract paths that are made of others, or of the id
};

struct ResolvedPath {
  const FieldDescriptor* field = nullptr;
  bool personal = false;  // it, or a message around it
};

ResolvedPath Resolve(const Descriptor* message, std::string_view path) {
  ResolvedPath out;
  std::vector<std::string> words = absl::StrSplit(absl::string_view(path.data(), path.size()), '.');
  for (size_t i = 0; i < words.size(); ++i) {
    out.field = message->FindFieldByName(words[i]);
    if (out.field == nullptr) return {};
    out.personal |= IsMarkedPersonal(*out.field);
    if (i + 1 < words.size()) {
      if (out.field->is_repeated() || out.field->message_type() == nullptr) return {};
      message = out.field->message_type();
    }
  }
  return out;
}

bool HasPersonalWithin(const FieldDescriptor& field) {
  if (IsMarkedPersonal(field)) return true;
  const Descriptor* message = field.message_type();
  if (message == nullptr || !IsOurs(*message)) return false;
  for (int i = 0; i < message->field_count(); ++i) {
    if (HasPersonalWithin(*message->field(i))) return true;
  }
  return false;
}

bool Holds(const FieldDescriptor& field, const domain::FieldSpec& spec) {
  std::string message = field.message_type() == nullptr ? "" : field.message_type()->full_name();
  bool single = !field.is_repeated();
  switch (spec.type) {
    case FieldType::kBool:
      return single && field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
    case FieldType::kInt:
      return single && (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64 ||
                        field.cpp_type() == FieldDescriptor::CPPTYPE_INT32);
    case FieldType::kText:
      return single && field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    case FieldType::kTime:
      return single && message == "google.protobuf.Timestamp";
    case FieldType::kEnum:
      return single && field.enum_type() != nullptr &&
             field.enum_type()->name() == spec.enumeration->type;
    case FieldType::kMoney:
      return single && message == "google.type.Money";
    case FieldType::kTextList:
      return !single && field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    case FieldType::kTextMap:
      return field.is_map();
    case FieldType::kRecordList:
      return !single && !field.is_map() && !message.empty();
    case FieldType::kBlob:
      return false;
  }
  return false;
}

// The paths of everything that a message holds, down to what a field table calls one field.
void AddLeaves(const Descriptor* message, const std::string& prefix, std::set<std::string>& out) {
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    std::string path = prefix + field->name();
    bool whole = field->is_repeated() || field->message_type() == nullptr ||
                 (!IsOurs(*field->message_type()) &&
                  field->message_type()->full_name() != "google.rpc.Status");
    if (whole) {
      out.insert(path);
    } else {
      AddLeaves(field->message_type(), path + ".", out);
    }
  }
}

template <class E>
void ExpectSameFields(const Descriptor* message, const Differences& differences) {
  SCOPED_TRACE(message->full_name());
  std::set<std::string> leaves;
  AddLeaves(message, "", leaves);
  for (const domain::Field<E>& row : domain::FieldsOf<E>()) {
    std::string path(row.spec.path);
    SCOPED_TRACE(path);
    ResolvedPath resolved = Resolve(message, path);
    if (differences.internal.contains(path)) {
      EXPECT_EQ(resolved.field, nullptr) << "is not internal";
      continue;
    }
    ASSERT_NE(resolved.field, nullptr) << "is not in the contract";
    EXPECT_TRUE(Holds(*resolved.field, row.spec)) << "is of another type";
    EXPECT_EQ(row.spec.personal, resolved.personal || HasPersonalWithin(*resolved.field))
        << "is personal on one side only";
    EXPECT_EQ(leaves.erase(path), 1u) << "is not a leaf of the message";
  }
  EXPECT_THAT(leaves, testing::ElementsAreArray(differences.derived))
      << "the contract has fields that the table lacks";
}

TEST(ContractFieldTest, FieldTablesAndMessagesNameTheSameFields) {
  ExpectSameFields<domain::Lead>(
      v1::Lead::descriptor(),
      {.internal = {"score_state", "merged_into"}, .derived = {"name", "etag"}});
  ExpectSameFields<domain::Touchpoint>(v1::Touchpoint::descriptor(), {.derived = {"name"}});
  ExpectSameFields<domain::Consent>(v1::Consent::descriptor(), {.derived = {"name"}});
  ExpectSameFields<domain::Assessment>(v1::Assessment::descriptor(), {.derived = {"name"}});
  ExpectSameFields<domain::Opportunity>(v1::Opportunity::descriptor(),
                                        {.derived = {"name", "etag"}});
  ExpectSameFields<domain::User>(v1::User::descriptor(), {.derived = {"name", "etag"}});
  ExpectSameFields<domain::Team>(v1::Team::descriptor(), {.derived = {"name", "etag"}});
  ExpectSameFields<domain::Calendar>(v1::Calendar::descriptor(), {.derived = {"name", "etag"}});
  ExpectSameFields<domain::Handoff>(v1::Handoff::descriptor(),
                                    {.internal = {"priority"}, .derived = {"name", "etag"}});
  ExpectSameFields<domain::Segment>(v1::Segment::descriptor(), {.derived = {"name", "etag"}});
  ExpectSameFields<domain::Import>(v1::Import::descriptor(), {.derived = {"name"}});
  ExpectSameFields<domain::Operation>(
      v1::Operation::descriptor(),
      {.internal = {"cursor"},
       .derived = {"name", "rows_per_second", "estimated_end_time", "error.details"}});
}

TEST(ContractFieldTest, MasksNameFieldsOfTheTables) {
  for (std::string_view path : DescriptiveLeadPaths()) {
    EXPECT_NE(domain::FindField<domain::Lead>(path), nullptr) << path;
  }
  for (std::string_view path : DescriptiveOpportunityPaths()) {
    EXPECT_NE(domain::FindField<domain::Opportunity>(path), nullptr) << path;
  }
  for (std::string_view path : DescriptiveUserPaths()) {
    EXPECT_NE(domain::FindField<domain::User>(path), nullptr) << path;
  }
  for (std::string_view path : DescriptiveTeamPaths()) {
    EXPECT_NE(domain::FindField<domain::Team>(path), nullptr) << path;
  }
  for (std::string_view path : DescriptiveCalendarPaths()) {
    EXPECT_NE(domain::FindField<domain::Calendar>(path), nullptr) << path;
  }
}

// Names, addresses and numbers of people, wherever they appear in the contract.
TEST(ContractFieldTest, WhatIsPersonalByNatureIsMarkedEverywhere) {
  const std::set<std::string> personal_by_name = {
      "given_name", "family_name", "emails",      "phones", "email",    "phone",
      "birth_date", "street",      "postal_code", "body",   "click_id", "proof",
      "old_value",  "new_value",   "evidence",    "need",   "query",    "intention"};
  for (const Descriptor* message : ContractMessages()) {
    for (int i = 0; i < message->field_count(); ++i) {
      const FieldDescriptor* field = message->field(i);
      bool counts_evidence =
          field->message_type() != nullptr && field->message_type()->name() == "ScoreEvidence";
      if (!personal_by_name.contains(field->name()) || counts_evidence) continue;
      EXPECT_TRUE(IsMarkedPersonal(*field)) << field->full_name();
    }
  }
}

// ---- Calls ------------------------------------------------------------------------------------

TEST(ContractCallTest, EveryCallSaysWhoMayMakeIt) {
  std::vector<const MethodDescriptor*> methods = ContractMethods();
  EXPECT_GT(methods.size(), 50u);
  for (const MethodDescriptor* method : methods) {
    SCOPED_TRACE(method->full_name());
    ASSERT_TRUE(method->options().HasExtension(v1::access));
    const v1::Access& access = method->options().GetExtension(v1::access);
    EXPECT_TRUE(access.marketing() || access.sales() || access.analyst() || access.partner() ||
                access.admin() || access.privacy());
    EXPECT_NE(std::max({access.admin(), access.privacy()}), v1::SCOPE_UNSPECIFIED)
        << "nobody in charge may make it";
  }
}

bool ChangesState(const MethodDescriptor& method) {
  constexpr std::string_view kReads[] = {"Get",    "List",  "BatchGet", "Lookup",
                                         "Search", "Watch", "Score",    "Explain",
                                         "Export", "Count", "Simulate", "Find"};
  return std::none_of(std::begin(kReads), std::end(kReads), [&](std::string_view verb) {
    return std::string_view(method.name()).starts_with(verb);
  });
}

bool IsBatch(const MethodDescriptor& method) { return absl::StartsWith(method.name(), "Batch"); }
bool IsImport(const MethodDescriptor& method) { return absl::StartsWith(method.name(), "Import"); }

const FieldDescriptor* FieldOf(const Descriptor* message, const char* name,
                               FieldDescriptor::CppType type) {
  const FieldDescriptor* field = message->FindFieldByName(name);
  return field != nullptr && field->cpp_type() == type && !field->is_repeated() ? field : nullptr;
}

TEST(ContractCallTest, RequestsHaveTheFieldsOfTheirKind) {
  for (const MethodDescriptor* method : ContractMethods()) {
    SCOPED_TRACE(method->full_name());
    const Descriptor* in = method->input_type();
    const Descriptor* out = method->output_type();
    // The stream of an import carries the chunks of the unary call.
    if (method->name() != "ImportLeads") {
      EXPECT_EQ(in->name(), method->name() + "Request");
    }

    if (ChangesState(*method)) {
      EXPECT_TRUE(FieldOf(in, "validate_only", FieldDescriptor::CPPTYPE_BOOL));
      // Each item of a batch has its own; an import's rows are told apart by their numbers.
      if (!IsBatch(*method) && !IsImport(*method)) {
        EXPECT_TRUE(FieldOf(in, "request_id", FieldDescriptor::CPPTYPE_STRING));
      }
    } else {
      EXPECT_EQ(in->FindFieldByName("validate_only"), nullptr);
      EXPECT_EQ(in->FindFieldByName("request_id"), nullptr);
    }
    if (absl::StartsWith(method->name(), "Update")) {
      const FieldDescriptor* mask = in->FindFieldByName("update_mask");
      ASSERT_NE(mask, nullptr);
      EXPECT_EQ(mask->message_type()->full_name(), "google.protobuf.FieldMask");
    }
    if (absl::StartsWith(method->name(), "List") || absl::StartsWith(method->name(), "Search")) {
      EXPECT_TRUE(FieldOf(in, "page_size", FieldDescriptor::CPPTYPE_INT32));
      EXPECT_TRUE(FieldOf(in, "page_token", FieldDescriptor::CPPTYPE_STRING));
      EXPECT_TRUE(FieldOf(out, "next_page_token", FieldDescriptor::CPPTYPE_STRING));
      int repeated = 0;
      for (int i = 0; i < out->field_count(); ++i) repeated += out->field(i)->is_repeated();
      EXPECT_EQ(repeated, 1);
    }
  }
}

TEST(ContractCallTest, FieldsKeepTheConventionsOfTheirNames) {
  for (const Descriptor* message : ContractMessages()) {
    for (int i = 0; i < message->field_count(); ++i) {
      const FieldDescriptor* field = message->field(i);
      SCOPED_TRACE(field->full_name());
      const std::string& name = field->name();
      // Text is UTF-8, numbers are signed: some languages have no others.
      EXPECT_NE(field->type(), FieldDescriptor::TYPE_BYTES);
      EXPECT_TRUE(field->cpp_type() != FieldDescriptor::CPPTYPE_UINT32 &&
                  field->cpp_type() != FieldDescriptor::CPPTYPE_UINT64 &&
                  field->cpp_type() != FieldDescriptor::CPPTYPE_FLOAT);
      std::string type = field->message_type() == nullptr ? "" : field->message_type()->full_name();
      bool is_time = type == "google.protobuf.Timestamp";
      bool is_map_of_times = field->is_map() && absl::EndsWith(name, "_times");
      EXPECT_TRUE(is_map_of_times || is_time == absl::EndsWith(name, "_time"));
      for (const char* text : {"name", "parent", "etag", "request_id", "page_token", "filter",
                               "order_by", "country", "language", "time_zone", "next_page_token"}) {
        EXPECT_TRUE(name != text || field->cpp_type() == FieldDescriptor::CPPTYPE_STRING);
      }
      EXPECT_EQ(name, absl::AsciiStrToLower(name));
    }
  }
}

TEST(ContractCallTest, EnumsBeginWithUnspecified) {
  for (const FileDescriptor* file : ContractFiles()) {
    for (int i = 0; i < file->enum_type_count(); ++i) {
      const EnumDescriptor* type = file->enum_type(i);
      EXPECT_EQ(type->value(0)->number(), 0);
      EXPECT_EQ(type->value(0)->name(), UpperSnake(type->name()) + "_UNSPECIFIED");
    }
  }
}

}  // namespace
}  // namespace relais::convert
