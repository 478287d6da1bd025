#include "tests/bench/fill.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "relais/v1/opportunity_service.grpc.pb.h"
#include "relais/v1/qualification_service.grpc.pb.h"
#include "tests/bench/fill_sinks.h"
#include "tests/bench/people.h"

namespace relais::bench {
namespace {

constexpr int64_t kDay = int64_t{86'400} * 1'000'000;
constexpr int64_t kMostTouchpoints = 64;            // ids of touchpoints are numbered so far apart
constexpr int kName = 1, kEmail = 2, kCompany = 3;  // fields of lead_terms

enum class Stage { kLead = 1, kProspect, kOpportunity, kCustomer, kDisqualified };

// What one filled lead is like.
struct Lead {
  int64_t number = 0;
  Names names;
  int64_t touchpoints = 1;
  Stage stage = Stage::kLead;
  int64_t score = 0;
  int64_t shift = 0;  // its microseconds before or after the template's
};

// splitmix64: what looks like chance and is the same in every run.
uint64_t Mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

Lead LeadOf(int64_t n, int64_t count) {
  Lead lead;
  lead.number = kFirstFilled + n;
  lead.names = NamesOf(lead.number);
  const uint64_t chance = Mixed(static_cast<uint64_t>(n));
  auto below = [&chance](int shift, uint64_t limit) {
    return static_cast<int64_t>((chance >> shift & 0xffff) % limit);
  };
  const int64_t some = below(0, 1000), more = below(16, 1000);
  lead.touchpoints = some < 550   ? 1
                     : some < 770 ? 2
                     : some < 890 ? 3
                     : some < 970 ? 4 + more % 7
                     : some < 995 ? 11 + more % 15
                                  : 50;
  const int64_t stage = below(32, 100);
  lead.stage = stage < 70   ? Stage::kLead
               : stage < 85 ? Stage::kProspect
               : stage < 91 ? Stage::kOpportunity
               : stage < 96 ? Stage::kCustomer
                            : Stage::kDisqualified;
  lead.score = (below(48, 101) + more % 101) / 2;
  // Two years, in the order of their numbers; the last of them two months ago.
  lead.shift = -60 * kDay - (count - n) * (730 * kDay / std::max<int64_t>(count, 1));
  return lead;
}

int64_t TouchpointNumber(const Lead& lead, int64_t i) { return lead.number * kMostTouchpoints + i; }

// A value of a row, made for one lead.
using Cell = std::function<void(const Lead&, std::string& out)>;

// The values of leads and opportunities that differ for more than their number.
Cell OwnCell(const std::string& table, const std::string& column, int64_t time) {
  auto text = [](auto value) -> Cell {
    return [value](const Lead& lead, std::string& out) { out = value(lead); };
  };
  // A moment so many days after the first touch for those who came that far; NULL (empty) for
  // others.
  auto since = [time](Stage from, int64_t days) -> Cell {
    return [=](const Lead& lead, std::string& out) {
      if (lead.stage == Stage::kDisqualified ? from == Stage::kDisqualified : lead.stage >= from) {
        out = std::to_string(time + lead.shift + days * kDay);
      }
    };
  };
  auto if_stage = [](Stage stage) -> Cell {
    return [stage](const Lead& lead, std::string& out) { out = lead.stage == stage ? "1" : "0"; };
  };
  static constexpr const char* kCampaigns[] = {"spring", "summer", "autumn", "winter"};
  static constexpr const char* kSources[] = {"website", "fair", "referral", "partner", "webinar"};
  if (table == "opportunities") {
    // From the template of a win.
    if (column == "state") {
      return text([](const Lead& l) { return l.stage == Stage::kCustomer ? "2" : "1"; });
    }
    if (column == "probability_percent") {
      return text([](const Lead& l) { return l.stage == Stage::kCustomer ? "100" : "20"; });
    }
    if (column == "close_time") return since(Stage::kCustomer, 40);
    return nullptr;
  }
  if (table != "leads") return nullptr;
  const std::map<std::string, Cell> own = {
      {"person_given_name", text([](const Lead& l) { return l.names.given; })},
      {"person_family_name", text([](const Lead& l) { return l.names.family; })},
      {"person_display_name",
       text([](const Lead& l) { return l.names.given + " " + l.names.family; })},
      {"organization_display_name", text([](const Lead& l) { return l.names.company; })},
      {"acquisition_campaign", text([](const Lead& l) { return kCampaigns[l.number % 4]; })},
      {"acquisition_source", text([](const Lead& l) { return kSources[l.number / 4 % 5]; })},
      {"stage", text([](const Lead& l) { return std::to_string(static_cast<int>(l.stage)); })},
      {"score", text([](const Lead& l) { return std::to_string(l.score); })},
      {"counters_touchpoints", text([](const Lead& l) { return std::to_string(l.touchpoints); })},
      {"counters_open_opportunities", if_stage(Stage::kOpportunity)},
      {"counters_won_opportunities", if_stage(Stage::kCustomer)},
      {"milestones_prospect_time", since(Stage::kProspect, 10)},
      {"milestones_opportunity_time", since(Stage::kOpportunity, 20)},
      {"milestones_customer_time", since(Stage::kCustomer, 40)},
      {"milestones_disqualified_time", since(Stage::kDisqualified, 30)},
      {"milestones_last_touch_time", text([time](const Lead& l) {
         return std::to_string(time + l.shift + (l.touchpoints - 1) * kDay);
       })},
  };
  auto found = own.find(column);
  return found == own.end() ? nullptr : found->second;
}

// The rows of one table that one template row stands for.
class RowMaker {
 public:
  RowMaker(const CaptureTemplate& model, const TemplateRow& row) : table_(row.table) {
    for (const TemplateCell& cell : row.cells) {
      Plan plan;
      plan.own = OwnCell(row.table, cell.column, model.time);
      plan.is_number = row.table == "events" && cell.column == "number";
      if (cell.value.has_value()) {
        plan.text = *cell.value;
        plan.is_null = false;
        if (IsTimeOf(model, *cell.value)) {
          plan.is_time = true;
          plan.time = std::stoll(*cell.value);
        } else {
          plan.parts = PartsOf(model, *cell.value);
          plan.constant = std::all_of(plan.parts.begin(), plan.parts.end(),
                                      [](const Part& part) { return part.kind == Part::kText; });
        }
      }
      plans_.push_back(std::move(plan));
    }
    texts_.resize(plans_.size());
    cells_.resize(plans_.size());
  }
  const std::string& table() const { return table_; }

  // `touchpoint` is the number of the touchpoint and of its call.
  const std::vector<const std::string*>& Make(const Lead& lead, int64_t touchpoint, int64_t days,
                                              int64_t event) {
    for (size_t i = 0; i < plans_.size(); ++i) {
      const Plan& plan = plans_[i];
      std::string& out = texts_[i];
      cells_[i] = &out;
      if (plan.own) {
        out.clear();
        plan.own(lead, out);
        if (out.empty()) cells_[i] = nullptr;
      } else if (plan.is_number) {
        out = std::to_string(event);
      } else if (plan.is_null) {
        cells_[i] = nullptr;
      } else if (plan.is_time) {
        out = std::to_string(plan.time + lead.shift + days * kDay);
      } else if (plan.constant) {
        cells_[i] = &plan.text;
      } else {
        out.clear();
        for (const Part& part : plan.parts) {
          switch (part.kind) {
            case Part::kText:
              out += part.text;
              break;
            case Part::kNumber:
              out += std::to_string(lead.number);
              break;
            case Part::kLead:
              out += IdOf(lead.number, kLeadId);
              break;
            case Part::kTouchpoint:
              out += IdOf(touchpoint, kTouchpointId);
              break;
            case Part::kRequest:
              out += IdOf(touchpoint, kRequestId);
              break;
          }
        }
      }
    }
    return cells_;
  }

 private:
  struct Plan {
    Cell own;
    bool is_number = false, is_null = true, is_time = false, constant = true;
    int64_t time = 0;
    std::string text;
    std::vector<Part> parts;
  };
  std::string table_;
  std::vector<Plan> plans_;
  std::vector<std::string> texts_;
  std::vector<const std::string*> cells_;
};

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// The words that the search index has of a person.
std::vector<std::pair<std::string, int>> WordsOf(int64_t person) {
  const Names names = NamesOf(person);
  const size_t space = names.company.find(' ');
  return {{Lower(names.given), kName},
          {Lower(names.family), kName},
          {"person" + std::to_string(person) + "@example.com", kEmail},
          {Lower(names.company.substr(0, space)), kCompany},
          {Lower(names.company.substr(space + 1)), kCompany}};
}

std::vector<TemplateRow> ReadRows(const FillTarget& target,
                                  const std::vector<std::string>& tables) {
  return target.sqlite_path.empty() ? ReadPostgresRows(target.postgres_dsn, tables)
                                    : ReadSqliteRows(target.sqlite_path, tables);
}

std::string ValueOf(const FillTarget& target, const std::string& sql) {
  return target.sqlite_path.empty() ? PostgresValue(target.postgres_dsn, sql)
                                    : SqliteValue(target.sqlite_path, sql);
}

bool Same(const TemplateRow& a, const TemplateRow& b) {
  if (a.table != b.table || a.cells.size() != b.cells.size()) return false;
  for (size_t i = 0; i < a.cells.size(); ++i) {
    if (a.cells[i].value != b.cells[i].value) return false;
  }
  return true;
}

template <class Stub, class Request, class Response>
Response Called(Stub& stub,
                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                const Request& request) {
  grpc::ClientContext context;
  Response response;
  const grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok())
    throw std::runtime_error("a call of the model failed: " + status.error_message());
  return response;
}

void Win(LeadClient& client, const std::string& lead) {
  auto qualification = v1::QualificationService::NewStub(client.channel());
  auto opportunities = v1::OpportunityService::NewStub(client.channel());
  v1::AssessLeadRequest assess;
  assess.set_parent(lead);
  for (const char* criterion : {"budget", "authority", "need", "timeline"}) {
    v1::CriterionAnswer& answer = *assess.mutable_assessment()->add_answers();
    answer.set_criterion(criterion);
    answer.set_state(v1::CRITERION_STATE_MET);
  }
  Called(*qualification, &v1::QualificationService::Stub::AssessLead, assess);
  v1::QualifyLeadRequest qualify;
  qualify.set_name(lead);
  Called(*qualification, &v1::QualificationService::Stub::QualifyLead, qualify);
  v1::CreateOpportunityRequest create;
  create.mutable_opportunity()->set_lead(lead);
  create.mutable_opportunity()->set_display_name("Rollout");
  create.mutable_opportunity()->set_intention("asked for an offer");
  create.mutable_opportunity()->mutable_amount()->set_currency_code("EUR");
  create.mutable_opportunity()->mutable_amount()->set_units(12'000);
  v1::CloseOpportunityRequest close;
  close.set_name(
      Called(*opportunities, &v1::OpportunityService::Stub::CreateOpportunity, create).name());
  close.set_outcome(v1::CLOSE_OUTCOME_WON);
  Called(*opportunities, &v1::OpportunityService::Stub::CloseOpportunity, close);
}

}  // namespace

FillModel MakeFillModel(LeadClient& client, const FillTarget& target, int64_t person) {
  FillModel model;
  client.Capture(person);
  const std::vector<TemplateRow> once = ReadRows(target, CaptureTables());
  model.first = TemplateOf(person, once);
  const std::string lead = client.Capture(person).lead().name();
  std::vector<TemplateRow> added;
  for (TemplateRow& row : ReadRows(target, CaptureTables())) {
    const bool known = std::any_of(once.begin(), once.end(),
                                   [&](const TemplateRow& old) { return Same(old, row); });
    if (!known) added.push_back(std::move(row));
  }
  model.again = TemplateOf(person, std::move(added));
  Win(client, lead);
  model.opportunity = ReadRows(target, {"opportunities"}).at(0);
  return model;
}

void Fill(const FillTarget& target, const FillModel& model, int64_t count) {
  std::vector<std::string> tables = CaptureTables();
  tables.insert(tables.end(), {"opportunities", "lead_terms"});

  // Words are made here rather than read from a model: so see that the server makes the same.
  const std::vector<TemplateRow> terms = ReadRows(target, {"lead_terms"});
  for (const auto& [word, field] : WordsOf(1)) {
    const std::string like = std::to_string(field);
    if (std::none_of(terms.begin(), terms.end(), [&word = word, &like](const TemplateRow& row) {
          return row.cells.size() == 4 && row.cells[1].value == word && row.cells[2].value == like;
        })) {
      throw std::runtime_error("the search index does not have the words of person 1");
    }
  }

  std::unique_ptr<RowSink> sink = target.sqlite_path.empty()
                                      ? PostgresSink(target.postgres_dsn, tables)
                                      : SqliteSink(target.sqlite_path, tables);
  std::map<std::string, size_t> streams;
  auto makers = [&](const CaptureTemplate& capture, bool leads) {
    std::vector<RowMaker> out;
    for (const TemplateRow& row : capture.rows) {
      if (row.table == "leads" && !leads) continue;
      out.emplace_back(capture, row);
      if (streams.count(row.table) == 0) streams[row.table] = sink->Open(row);
    }
    return out;
  };
  std::vector<RowMaker> first = makers(model.first, true), again = makers(model.again, false);

  // An opportunity has an id of its own: a kind of number that no other row uses.
  CaptureTemplate won = model.first;
  for (const TemplateCell& cell : model.opportunity.cells) {
    if (cell.column == "opportunity_id") won.touchpoint = cell.value.value();
  }
  RowMaker opportunity(won, model.opportunity);
  const size_t opportunities = sink->Open(model.opportunity);
  const size_t lead_terms = sink->Open(terms.at(0));

  int64_t event = std::stoll(ValueOf(target, "SELECT last_number FROM feed_counters"));
  auto write = [&](std::vector<RowMaker>& rows, const Lead& lead, int64_t i) {
    for (RowMaker& row : rows) {
      if (row.table() == "events") ++event;
      sink->Write(streams[row.table()], row.Make(lead, TouchpointNumber(lead, i), i, event));
    }
  };
  const std::string tenant = "default";
  for (int64_t n = 1; n <= count; ++n) {
    const Lead lead = LeadOf(n, count);
    write(first, lead, 0);
    for (int64_t i = 1; i < lead.touchpoints; ++i) write(again, lead, i);
    if (lead.stage == Stage::kOpportunity || lead.stage == Stage::kCustomer) {
      sink->Write(opportunities, opportunity.Make(lead, TouchpointNumber(lead, 0), 20, 0));
    }
    const std::string id = IdOf(lead.number, kLeadId);
    for (const auto& [word, field] : WordsOf(lead.number)) {
      const std::string number = std::to_string(field);
      sink->Write(lead_terms, {&tenant, &word, &number, &id});
    }
  }
  const std::string last = std::to_string(event);
  sink->Close("UPDATE feed_counters SET last_number = " + last +
              "; UPDATE reactions SET position = " + last);
}

}  // namespace relais::bench
