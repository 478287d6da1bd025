#include "server/workers/search_index.h"

#include <algorithm>
#include <future>
#include <optional>
#include <string_view>
#include <tuple>

#include "server/convert/search_words.h"
#include "server/domain/concat.h"
#include "server/domain/event.h"
#include "server/domain/status_macros.h"
#include "server/runtime/logging.h"

namespace relais::workers {
namespace {

constexpr std::string_view kReaction = "search";
// Events read, and so leads indexed, in one transaction.
constexpr int kPage = 500;
// Events that concern nobody are passed over in memory; the position is kept after this many, so
// that a restart does not read them all again.
constexpr int64_t kKeepEvery = 10'000;
// What a reading may take; the next poll tries again.
constexpr std::chrono::seconds kReadDeadline{10};
// How long changes gather before they are indexed together: one transaction for many commits. Also
// the pause that writers get when there is more: under a flood of more than kPage changes in this
// time the index falls behind, and catches up after it.
constexpr std::chrono::milliseconds kGather{100};

enum SearchField : int { kName = 1, kEmail = 2, kCompany = 3, kPhone = 4 };

// Of a lead, what SearchTermsOf reads.
constexpr std::string_view kSearchedPaths[] = {
    "person.given_name", "person.family_name",        "person.display_name", "person.emails",
    "person.phones",     "organization.display_name", "organization.domain", "merged_into"};
// Of an event, what is looked at: personal changes are only known to be there.
constexpr std::string_view kStage = "stage";
const std::vector<std::string>& WatchedPaths() {
  static const auto* const kPaths = new std::vector<std::string>{
      std::string(kStage), "organization.display_name", "organization.domain", "merged_into"};
  return *kPaths;
}

// Whether a lead's words may be others after the event. All its personal fields count.
bool ChangesTerms(const domain::Event& event) {
  return event.sealed || std::any_of(event.changes.begin(), event.changes.end(),
                                     [](const auto& change) { return change.path != kStage; });
}

std::string StageName(const domain::Value& value) {
  return value.if_int() == nullptr
             ? std::string("NONE")
             : std::string(domain::NameOf(static_cast<domain::Stage>(*value.if_int())));
}

}  // namespace

std::vector<storage::SearchTerm> SearchTermsOf(const domain::Lead& lead) {
  std::vector<storage::SearchTerm> terms;
  if (!lead.merged_into.empty()) return terms;  // found by the lead that stands for it
  auto add = [&terms](std::string_view text, SearchField field) {
    if (text.empty()) return;
    for (std::string& word : convert::SearchWords(text)) terms.push_back({std::move(word), field});
  };
  const domain::Person& person = lead.person;
  for (const std::string* name : {&person.given_name, &person.family_name, &person.display_name}) {
    add(*name, kName);
  }
  for (const domain::Email& email : person.emails) add(email.address, kEmail);
  add(lead.organization.display_name, kCompany);
  add(lead.organization.domain, kCompany);
  for (const domain::Phone& phone : person.phones) {
    add(phone.number, kPhone);
    add(phone.raw, kPhone);  // people look for the national form, too
  }
  auto key = [](const storage::SearchTerm& term) { return std::tie(term.term, term.field); };
  std::sort(terms.begin(), terms.end(),
            [&](const auto& a, const auto& b) { return key(a) < key(b); });
  terms.erase(std::unique(terms.begin(), terms.end(),
                          [&](const auto& a, const auto& b) { return key(a) == key(b); }),
              terms.end());
  return terms;
}

SearchIndex::SearchIndex(storage::Store& store, const domain::Clock& clock,
                         runtime::Metrics& metrics, domain::TenantId tenant,
                         std::chrono::milliseconds poll)
    : store_(store),
      clock_(clock),
      metrics_(metrics),
      tenant_(std::move(tenant)),
      poll_(poll),
      lag_(metrics.FeedLag(kReaction)),
      subscription_(store.OnCommit([this] {
        std::lock_guard lock(mutex_);
        nudged_ = true;
        changed_.notify_one();
      })),
      thread_([this] { Run(); }) {}

SearchIndex::~SearchIndex() { Stop(); }

void SearchIndex::Stop() {
  subscription_.reset();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void SearchIndex::Run() {
  bool failing = false;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait_for(lock, poll_, [this] { return stopping_ || nudged_; });
    if (stopping_) return;
    nudged_ = false;
    lock.unlock();
    absl::StatusOr<bool> more = true;
    while (more.ok() && *more) {
      more = Step();
      // Between two pages writers get their turn: on SQLite they share one lock with this.
      std::unique_lock pause(mutex_);
      if (changed_.wait_for(pause, kGather, [this] { return stopping_; })) return;
    }
    // Once for each outage: the poll goes on several times a second.
    if (!more.ok() && !failing) {
      runtime::LogWarning(Concat("search index waits: ", FromAbsl(more.status().message())));
    }
    failing = !more.ok();
    lock.lock();
  }
}

absl::StatusOr<SearchIndex::Page> SearchIndex::ReadPage() {
  auto page = std::make_shared<Page>();
  auto done = std::make_shared<std::promise<absl::Status>>();
  storage::Call call;
  call.tenant = tenant_;
  call.method = "SearchIndex";
  call.deadline = std::chrono::steady_clock::now() + kReadDeadline;
  storage::EventQuery query;
  query.after_number = seen_;
  query.types = {domain::EventType::kLeadCreated, domain::EventType::kLeadUpdated,
                 domain::EventType::kLeadTransitioned, domain::EventType::kLeadMerged,
                 domain::EventType::kLeadUnmerged};
  query.limit = kPage;
  query.only_paths = WatchedPaths();
  store_.Read(
      call,
      [page, query](storage::ReadTxn& txn) -> absl::Status {
        *page = Page{};
        ASSIGN_OR_RETURN(std::vector<domain::Event> events, txn.Events(query));
        ASSIGN_OR_RETURN(storage::FeedHead head, txn.Head());
        page->more = events.size() == static_cast<size_t>(query.limit);
        page->up_to = page->more ? events.back().number : head.number;
        if (!events.empty()) page->first = events.front().record_time;
        std::vector<domain::LeadId> ids;
        for (const domain::Event& event : events) {
          if (ChangesTerms(event)) ids.push_back(event.lead);
          for (const domain::FieldChange& change : event.changes) {
            if (change.path != kStage) continue;
            page->transitions.emplace_back(StageName(change.before), StageName(change.after));
          }
        }
        std::sort(ids.begin(), ids.end());
        ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
        // The leads as they stand in this snapshot, which is at or after the events: a change that
        // comes later has an event of its own.
        ASSIGN_OR_RETURN(auto leads, txn.GetPartsOfLeads(ids, kSearchedPaths));
        for (size_t i = 0; i < ids.size(); ++i) {
          page->leads.emplace_back(ids[i], leads[i].has_value()
                                               ? SearchTermsOf(*leads[i])
                                               : std::vector<storage::SearchTerm>());
        }
        return absl::OkStatus();
      },
      [done](const absl::Status& status) { done->set_value(status); });
  RETURN_IF_ERROR(done->get_future().get());
  return std::move(*page);
}

absl::StatusOr<bool> SearchIndex::Step() {
  std::lock_guard lock(step_mutex_);
  if (!position_known_) {
    ASSIGN_OR_RETURN(kept_, store_.ReactionPosition(tenant_, kReaction));
    seen_ = kept_;
    position_known_ = true;
  }
  ASSIGN_OR_RETURN(Page page, ReadPage());
  bool concerns = !page.leads.empty() || !page.transitions.empty();
  if (concerns) {
    lag_.Set(std::max(0.0, static_cast<double>(clock_.Now().micros - page.first.micros) /
                               domain::kMicrosPerSecond));
  }
  if (concerns || page.up_to - kept_ >= kKeepEvery) {
    absl::Status status = store_.ReplaceSearchTerms(tenant_, page.leads, kept_, page.up_to);
    if (!status.ok()) {
      // Another server kept this page, or nothing is known of what was kept: read it again.
      position_known_ = false;
      if (absl::IsFailedPrecondition(status)) return true;
      return status;
    }
    kept_ = page.up_to;
    for (const auto& [from, to] : page.transitions) metrics_.Transitions(from, to).Increment();
  }
  seen_ = page.up_to;
  if (!page.more) lag_.Set(0);
  return page.more;
}

absl::Status SearchIndex::DrainForTest() {
  bool more = true;
  while (more) {
    ASSIGN_OR_RETURN(more, Step());
  }
  return absl::OkStatus();
}

}  // namespace relais::workers
