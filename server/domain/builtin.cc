#include "server/domain/builtin.h"

#include <string>
#include <utility>
#include <vector>

namespace relais::domain {
namespace {

// Where no other source is named, the numbers of this file are choices of this project, made to be
// replaced by a company's own: evidence of qualification older than half a year (a quarter for
// consumers, who decide faster) should be asked again; interest fades in weeks, a refusal to be
// written to does not.
constexpr int64_t kB2bAnswerDays = 180;
constexpr int64_t kB2cAnswerDays = 90;

QualificationPolicy Bant() {
  return {.id = "bant",
          .display_name = "BANT",
          .market = Market::kB2b,
          .revision = 1,
          .criteria = {{"budget", CriterionKind::kBudget, true,
                        "Is there money for it, and how much?", kB2bAnswerDays},
                       {"authority", CriterionKind::kAuthority, true,
                        "What part does the contact play in the decision?", kB2bAnswerDays},
                       {"need", CriterionKind::kNeed, true,
                        "What is needed, and how much does it hurt to be without?", kB2bAnswerDays},
                       {"timeline", CriterionKind::kTimeline, true, "By when is a solution wanted?",
                        kB2bAnswerDays}},
          .built_in = true};
}

QualificationPolicy B2c() {
  return {.id = "b2c",
          .display_name = "Consumers",
          .market = Market::kB2c,
          .revision = 1,
          .criteria = {{"need", CriterionKind::kNeed, true, "What is the person looking for?",
                        kB2cAnswerDays},
                       {"timeline", CriterionKind::kTimeline, true,
                        "By when does the person want to buy?", kB2cAnswerDays},
                       {"budget", CriterionKind::kBudget, false,
                        "How much does the person want to spend?", kB2cAnswerDays}},
          .built_in = true};
}

// MEDDIC (D. Dunkel, J. Napoli, PTC, 1996) as an example for long sales to companies: shipped, not
// in force. Pain and champion are marketing's to find out before sales is called in; of the rest
// sales asks for the economic buyer and for most of what it weighs.
QualificationPolicy Meddic() {
  constexpr auto kMarketing = QualificationRound::kMarketing;
  constexpr auto kText = CriterionKind::kText;
  auto weighted = [](std::string id, CriterionKind kind, std::string question, int64_t weight) {
    Criterion criterion{std::move(id), kind, false, std::move(question), kB2bAnswerDays};
    criterion.weight = weight;
    criterion.min_confidence_percent = 50;
    return criterion;
  };
  QualificationPolicy policy{
      .id = "meddic",
      .display_name = "MEDDIC",
      .market = Market::kB2b,
      .revision = 1,
      .criteria = {{"identified_pain", CriterionKind::kNeed, true,
                    "What hurts, and what does it cost?", kB2bAnswerDays, kMarketing},
                   {"champion", CriterionKind::kAuthority, true, "Who inside wants this to happen?",
                    kB2bAnswerDays, kMarketing},
                   {"economic_buyer", CriterionKind::kAuthority, true,
                    "Who can say yes to the money?", kB2bAnswerDays},
                   weighted("metrics", kText, "Which figures will get better, by how much?", 40),
                   weighted("decision_criteria", kText, "By what will they choose?", 30),
                   weighted("decision_process", kText, "How, with whom and when do they decide?",
                            30)},
      .built_in = true};
  policy.sales_weight = 60;
  return policy;
}

// Points and caps of one touchpoint rule, which differ by market; everything else is shared.
struct Weight {
  int64_t points, cap;
};

ScoringRule OnTouchpoints(std::string id, ScoreDimension dimension, std::string description,
                          std::string filter, Weight weight, int64_t per_day, int64_t window_days,
                          int64_t half_life_days) {
  return {.id = std::move(id),
          .dimension = dimension,
          .description = std::move(description),
          .lead_filter = "",
          .touchpoint_filter = std::move(filter),
          .points = weight.points,
          .cap_points = weight.cap,
          .repeat_limit_per_day = per_day,
          .window_days = window_days,
          .half_life_days = half_life_days};
}

ScoringRule OnLead(std::string id, ScoreDimension dimension, std::string description,
                   std::string filter, int64_t points) {
  return {.id = std::move(id),
          .dimension = dimension,
          .description = std::move(description),
          .lead_filter = std::move(filter),
          .touchpoint_filter = "",
          .points = points};
}

void AddTouchpointRules(Market market, std::vector<ScoringRule>& rules) {
  auto by_market = [market](Weight b2b, Weight b2c) { return market == Market::kB2b ? b2b : b2c; };
  constexpr auto kEngagement = ScoreDimension::kEngagement;
  constexpr auto kIntent = ScoreDimension::kIntent;
  rules.push_back(OnTouchpoints("page_view", kEngagement, "Viewed a page", "kind = PAGE_VIEW",
                                by_market({1, 10}, {1, 10}), 3, 90, 14));
  rules.push_back(OnTouchpoints("form", kEngagement, "Sent a form or left a business card",
                                "kind = FORM OR kind = BUSINESS_CARD", by_market({8, 20}, {8, 16}),
                                1, 180, 60));
  rules.push_back(OnTouchpoints(
      "download", kEngagement, "Took an article, a white paper or a video",
      "kind = DOWNLOAD_ARTICLE OR kind = DOWNLOAD_WHITE_PAPER OR kind = DOWNLOAD_VIDEO",
      by_market({8, 24}, {4, 12}), 2, 180, 30));
  rules.push_back(OnTouchpoints("registered", kEngagement, "Signed up for a webinar or an event",
                                "kind = WEBINAR_REGISTERED OR kind = EVENT_REGISTERED",
                                by_market({4, 12}, {4, 8}), 1, 180, 30));
  rules.push_back(OnTouchpoints("attended", kEngagement, "Was at a webinar or an event",
                                "kind = WEBINAR_ATTENDED OR kind = EVENT_ATTENDED",
                                by_market({12, 36}, {8, 16}), 1, 180, 45));
  rules.push_back(OnTouchpoints("conversation", kEngagement, "Talked with us",
                                "kind = CALL OR kind = MEETING OR kind = CHAT",
                                by_market({10, 30}, {10, 20}), 1, 180, 45));
  rules.push_back(OnTouchpoints("email_opened", kEngagement, "Opened an e-mail",
                                "kind = EMAIL_OPENED", by_market({1, 5}, {1, 5}), 1, 60, 14));
  rules.push_back(OnTouchpoints("email_clicked", kEngagement, "Followed a link in an e-mail",
                                "kind = EMAIL_CLICKED", by_market({4, 16}, {4, 16}), 2, 90, 21));
  rules.push_back(OnTouchpoints("demo_request", kIntent, "Asked for a demonstration",
                                "kind = DEMO_REQUEST", by_market({30, 40}, {20, 30}), 1, 180, 45));
  rules.push_back(OnTouchpoints("pricing_view", kIntent, "Looked at the prices",
                                "kind = PRICING_VIEW", by_market({6, 18}, {6, 18}), 1, 60, 14));
  rules.push_back(OnTouchpoints("quote_viewed", kIntent, "Looked at a quote", "kind = QUOTE_VIEWED",
                                by_market({15, 30}, {15, 30}), 1, 90, 21));
  rules.push_back(OnTouchpoints("email_bounced", kEngagement, "An e-mail came back",
                                "kind = EMAIL_BOUNCED", by_market({-5, 10}, {-5, 10}), 1, 180, 0));
  rules.push_back(OnTouchpoints("unsubscribed", kEngagement, "Wants no more e-mails",
                                "kind = EMAIL_UNSUBSCRIBED", by_market({-15, 15}, {-20, 20}), 1,
                                kMaxWindowDays, 0));
  rules.push_back(OnTouchpoints("complained", kEngagement, "Reported an e-mail as unwanted",
                                "kind = EMAIL_COMPLAINED", by_market({-30, 30}, {-30, 30}), 1,
                                kMaxWindowDays, 0));
}

ScoringModel B2bModel() {
  ScoringModel model{.id = "b2b",
                     .display_name = "Companies",
                     .market = Market::kB2b,
                     .revision = 1,
                     .rules = {},
                     .threshold_points = 60,
                     .fit_bounds = {35, 20, 10},
                     .engagement_bounds = {45, 25, 10},
                     .built_in = true};
  constexpr auto kFit = ScoreDimension::kFit;
  model.rules = {
      OnLead("organization_named", kFit, "The company is known", "organization.display_name:*", 5),
      OnLead("organization_domain", kFit, "The company's own domain is known",
             "organization.domain:*", 5),
      OnLead("headcount_medium", kFit, "50 to 999 employees",
             "organization.headcount >= 50 AND organization.headcount < 1000", 10),
      OnLead("headcount_large", kFit, "1,000 employees or more", "organization.headcount >= 1000",
             15),
      OnLead("leading_role", kFit, "A role that decides or prepares decisions",
             R"(fold(person.job_title):fold("director") OR fold(person.job_title):fold("head") OR )"
             R"(fold(person.job_title):fold("chief") OR fold(person.job_title):fold("founder") OR )"
             R"(fold(person.job_title):fold("owner") OR fold(person.job_title):fold("manager"))",
             10),
      OnLead("reachable", kFit, "E-mail and telephone are known",
             "person.emails:* AND person.phones:*", 5),
      OnLead("country_known", kFit, "The country is known", "person.country:*", 3),
      OnLead("need_stated", kFit, "A need was stated", "needs:*", 5),
      OnLead("deciding", ScoreDimension::kIntent, "Is choosing a supplier", "maturity = DECISION",
             15),
  };
  AddTouchpointRules(model.market, model.rules);
  return model;
}

ScoringModel B2cModel() {
  ScoringModel model{.id = "b2c",
                     .display_name = "Consumers",
                     .market = Market::kB2c,
                     .revision = 1,
                     .rules = {},
                     .threshold_points = 45,
                     .fit_bounds = {25, 15, 8},
                     .engagement_bounds = {35, 20, 8},
                     .built_in = true};
  constexpr auto kFit = ScoreDimension::kFit;
  model.rules = {
      OnLead("email_known", kFit, "An e-mail is known", "person.emails:*", 5),
      OnLead("phone_known", kFit, "A telephone is known", "person.phones:*", 5),
      OnLead("country_known", kFit, "The country is known", "person.country:*", 3),
      OnLead("address_known", kFit, "The postal code is known",
             "person.postal_address.postal_code:*", 4),
      OnLead("need_stated", kFit, "A need was stated", "needs:*", 8),
      OnLead("marketing_welcome", kFit, "Agreed to marketing e-mails",
             R"(consents."EMAIL/MARKETING" = "GRANTED")", 5),
      OnLead("comparing", ScoreDimension::kIntent, "Is comparing offers",
             "maturity = CONSIDERATION", 6),
      OnLead("deciding", ScoreDimension::kIntent, "Is choosing an offer", "maturity = DECISION",
             15),
  };
  AddTouchpointRules(model.market, model.rules);
  return model;
}

Pipeline DefaultPipeline() {
  return {.id = "default",
          .display_name = "Standard negotiation",
          .stages = {{"qualification", "Solution is worked out", 10, {}},
                     {"proposal", "Proposal is with the buyer", 30, {"amount"}},
                     {"negotiation", "Terms are negotiated", 60, {"amount", "expected_close_time"}},
                     {"commitment",
                      "Agreed in words",
                      90,
                      {"amount", "expected_close_time", "next_step"}}},
          .built_in = true};
}

// Nothing is handed over by itself until somebody says so.
HandoffPolicy ByHand(std::string id, Market market) {
  return {.id = std::move(id),
          .display_name = "Handed over by hand",
          .market = market,
          .built_in = true};
}

}  // namespace

const Config& BuiltInConfig() {
  static const auto* const kConfig =
      new Config{.policies = {B2c(), Bant(), Meddic()},
                 .models = {CompiledModel::Compile(B2bModel()).value(),
                            CompiledModel::Compile(B2cModel()).value()},
                 .pipelines = {DefaultPipeline()},
                 .active_policies = {"", Bant().versioned_name(), B2c().versioned_name()},
                 .handoff_policies = {ByHand("b2b", Market::kB2b), ByHand("b2c", Market::kB2c)},
                 .routing_rules = {}};
  return *kConfig;
}

}  // namespace relais::domain
