#include "server/services/event_service.h"

#include <memory>
#include <utility>

#include "server/convert/filters.h"
#include "server/domain/filter_eval.h"

namespace relais::services {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Events read at a time. An event holds up to some 16 KiB (a note), most hold less than 1 KiB.
constexpr int kPage = 256;

// The digest of one event; HISTORY_CHANGED when the feed does not reach it.
absl::StatusOr<std::string> DigestOf(storage::ReadTxn& txn, int64_t number) {
  if (number == 0) return std::string();
  storage::EventQuery query;
  query.after_number = number - 1;
  query.up_to_number = number;
  query.limit = 1;
  ASSIGN_OR_RETURN(std::vector<domain::Event> events, txn.Events(query));
  if (events.empty()) return domain::HistoryChanged();
  return std::move(events[0].digest);
}

}  // namespace

absl::Status WatchStream::Start(const v1::WatchRequest& request) {
  ASSIGN_OR_RETURN(query_, convert::ParseWatch(request, exchange().decoding()));
  return place_.Take(edge());
}

void WatchStream::Produce() {
  if (!begun_) return FindPlace();
  if (SendNext()) return;
  bool reached_end = query_.until_now && number_ >= stop_after_;
  if (reached_end && told_number_ >= number_) return End(absl::OkStatus());
  // The filter may let nothing through for long: the reader learns how far the search has come.
  if (reached_end || SteadyClock::now() - told_at_ >= edge().feed.timing().heartbeat) {
    return SendHeartbeat();
  }
  if (number_ < head_) return ReadPage();
  AwaitFeed(number_, told_at_ + edge().feed.timing().heartbeat, [this](bool quiet) {
    if (quiet) return SendHeartbeat();
    ReadPage();
  });
}

void WatchStream::FindPlace() {
  struct Place {
    int64_t head = 0;
    int64_t number = 0;
    std::string digest;
  };
  auto place = std::make_shared<Place>();
  ReadStore(
      [place, query = query_](storage::ReadTxn& txn) -> absl::Status {
        ASSIGN_OR_RETURN(storage::FeedHead head, txn.Head());
        place->head = head.number;
        place->number = query.after_number < 0 ? head.number : query.after_number;
        if (place->number > head.number) return domain::HistoryChanged();
        ASSIGN_OR_RETURN(place->digest, DigestOf(txn, place->number));
        if (query.resume.has_value() && query.resume->digest != place->digest) {
          return domain::HistoryChanged();
        }
        return absl::OkStatus();
      },
      [this, place](const absl::Status& status) {
        if (!status.ok()) return End(status);
        begun_ = true;
        head_ = stop_after_ = place->head;
        number_ = place->number;
        digest_ = std::move(place->digest);
        Next();
      });
}

void WatchStream::ReadPage() {
  struct Page {
    std::vector<domain::Event> events;
    int64_t head = 0;
  };
  auto page = std::make_shared<Page>();
  storage::EventQuery query;
  query.after_number = number_;
  if (query_.until_now) query.up_to_number = stop_after_;
  query.limit = kPage;
  ReadStore(
      [page, query](storage::ReadTxn& txn) -> absl::Status {
        ASSIGN_OR_RETURN(page->events, txn.Events(query));
        ASSIGN_OR_RETURN(storage::FeedHead head, txn.Head());
        page->head = head.number;
        return absl::OkStatus();
      },
      [this, page](const absl::Status& status) {
        if (!status.ok()) return End(status);
        // Numbers are gapless: a hole would be a lost event, and must not be passed over in
        // silence.
        int64_t expected = number_;
        for (const domain::Event& event : page->events) {
          if (event.number != ++expected) {
            return End(domain::InternalFault("the feed has a gap"));
          }
        }
        page_ = std::move(page->events);
        next_ = 0;
        head_ = page_.empty() ? number_ : page->head;
        Next();
      });
}

bool WatchStream::SendNext() {
  while (next_ < page_.size()) {
    const domain::Event& event = page_[next_++];
    number_ = event.number;
    digest_ = event.digest;
    if (query_.filter.has_value() &&
        !domain::Matches(*query_.filter, convert::EventSubject(event), edge().clock.Now())) {
      continue;
    }
    v1::WatchResponse message;
    convert::Encode(event, exchange().call().tenant, message.mutable_event());
    message.set_number(event.number);
    message.set_resume_token(message.event().resume_token());
    Deliver(message);
    return true;
  }
  page_.clear();
  next_ = 0;
  return false;
}

void WatchStream::SendHeartbeat() {
  v1::WatchResponse message;
  message.set_number(number_);
  message.set_resume_token(ResumeToken());
  convert::Encode(edge().clock.Now(), message.mutable_heartbeat_time());
  Deliver(message);
}

void WatchStream::Deliver(const v1::WatchResponse& message) {
  told_number_ = message.number();
  told_at_ = SteadyClock::now();
  Send(message);
}

std::string WatchStream::ResumeToken() const {
  return convert::MakeResumeToken(exchange().call().tenant, number_, digest_);
}

EventService::EventService(const Edge& edge) : Endpoint(edge, "relais.v1.EventService") {
  ServerStreaming<WatchStream>("Watch");
}

}  // namespace relais::services
