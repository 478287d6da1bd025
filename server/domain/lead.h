// The lead: one person in the lifecycle, with the members and the field table (fields.h) that
// storage, history, filters and update masks share.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/domain/enums.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/money.h"
#include "server/domain/value.h"

namespace relais::domain {

struct Email {
  static constexpr std::string_view kMemberNames[] = {"address", "label"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string address;  // normalised: the matching key
  std::string label;
  friend bool operator==(const Email&, const Email&) = default;
};

struct Phone {
  static constexpr std::string_view kMemberNames[] = {"number", "raw", "label"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string number;  // E.164: the matching key
  std::string raw;
  std::string label;
  friend bool operator==(const Phone&, const Phone&) = default;
};

struct ExternalId {
  static constexpr std::string_view kMemberNames[] = {"system", "id"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string system;
  std::string id;
  friend bool operator==(const ExternalId&, const ExternalId&) = default;
};

struct PostalAddress {
  std::string street, locality, region, postal_code, country;
  friend bool operator==(const PostalAddress&, const PostalAddress&) = default;
};

struct Person {
  std::string given_name, family_name, display_name;
  std::vector<Email> emails;
  std::vector<Phone> phones;
  std::string job_title, language, country, time_zone;
  PostalAddress postal_address;
  std::string birth_date;  // YYYY-MM-DD
  friend bool operator==(const Person&, const Person&) = default;
};

struct Organization {
  std::string display_name, domain, industry;
  std::optional<int64_t> headcount;
  std::optional<Money> annual_revenue;
  friend bool operator==(const Organization&, const Organization&) = default;
};

struct Acquisition {
  Channel channel = Channel::kUnspecified;
  std::string source, campaign;
  std::string utm_source, utm_medium, utm_campaign, utm_term, utm_content;
  std::string click_id, landing_page;
  std::optional<Timestamp> first_touch_time;
  friend bool operator==(const Acquisition&, const Acquisition&) = default;
};

struct Milestones {
  std::optional<Timestamp> stage_time, prospect_time, opportunity_time, customer_time,
      disqualified_time, marketing_qualified_time, handed_off_time, accepted_time,
      first_contacted_time, recycled_time, erased_time, last_touch_time;
  int64_t recycle_count = 0;
  friend bool operator==(const Milestones&, const Milestones&) = default;
};

struct Counters {
  int64_t touchpoints = 0, open_opportunities = 0, won_opportunities = 0, lost_opportunities = 0;
  friend bool operator==(const Counters&, const Counters&) = default;
};

struct Lead {
  LeadId id;
  int64_t revision = 0;  // of the stored row: 0 before the first write, then 1, 2, ...

  Stage stage = Stage::kUnspecified;
  Market market = Market::kUnspecified;
  Person person;
  Organization organization;
  Acquisition acquisition;
  std::vector<std::string> needs;
  Maturity maturity = Maturity::kUnspecified;
  std::optional<Money> estimated_value;

  int64_t score = 0, fit_score = 0, engagement_score = 0, intent_score = 0;
  std::string grade;
  ScoreBand score_band = ScoreBand::kUnspecified;
  std::string score_model;  // scoringModels/{id}@{revision}
  std::string score_state;  // counts of evidence per rule and day; owned by scoring.h
  std::optional<Timestamp> next_score_time;

  std::string owner;                            // users/{id}
  std::map<std::string, std::string> consents;  // "EMAIL/MARKETING" -> "GRANTED"
  std::map<std::string, std::string>
      consent_times;  // the same keys -> occur_time in micros, as text
  std::map<std::string, std::string> labels;
  std::vector<ExternalId> external_ids;
  Milestones milestones;
  Counters counters;
  std::string disqualify_reason;
  // leads/{id} of the lead that stands for this one since a merge (merge.h); empty: none does. A
  // lead with one answers nothing by itself and is in no list.
  std::string merged_into;
  // leads/{id} of all that this one stands for, those that they stood for included.
  std::vector<std::string> merged_leads;
  Timestamp create_time, update_time;

  friend bool operator==(const Lead&, const Lead&) = default;
};

// Conversions of the record lists above, used by the field table.
Value ToValue(const std::vector<Email>& v);
Value ToValue(const std::vector<Phone>& v);
Value ToValue(const std::vector<ExternalId>& v);
void FromValue(const Value& v, std::vector<Email>& out);
void FromValue(const Value& v, std::vector<Phone>& out);
void FromValue(const Value& v, std::vector<ExternalId>& out);

template <>
absl::Span<const Field<Lead>> FieldsOf<Lead>();

}  // namespace relais::domain
