#include "server/services/lead_service.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/convert/limits.h"
#include "server/convert/rpc_status.h"
#include "server/domain/concat.h"
#include "server/services/duplicates.h"
#include "server/services/past.h"

namespace relais::services {
namespace {

// Events read at a time while looking for those that a page of history wants.
constexpr int kHistoryPage = 1000;

// Keeps the results of a batch within what clients take: an item that no longer fits loses what can
// be read again (resources) or is only explanation (details), never its outcome.
template <class Result, class Shrink>
void Fit(convert::ResponseBudget& budget, Result& result, Shrink shrink) {
  if (budget.Take(result)) return;
  shrink(result);
  result.mutable_status()->clear_details();
  budget.Take(result);
}

// Reads one page of a lead's history. `visit` takes the events of the lead in order and answers
// whether it wants more; the page's token is the caller's.
template <class Visit>
absl::Status EachEvent(storage::ReadTxn& txn, const convert::HistoryPage& page,
                       const domain::Lead& lead, Visit visit) {
  const std::vector<domain::LeadId> merged = domain::MergedLeads(lead);
  storage::EventQuery query;
  query.lead = lead.id;
  query.types = LeadEventTypes();
  query.merged = merged;
  query.after_number = page.after_number;
  query.limit = kHistoryPage;
  while (true) {
    ASSIGN_OR_RETURN(std::vector<domain::Event> events, txn.Events(query));
    for (const domain::Event& event : events) {
      if (!visit(event)) return absl::OkStatus();
    }
    if (events.size() < static_cast<size_t>(query.limit)) return absl::OkStatus();
    query.after_number = events.back().number;
  }
}

// Ends the call with the lead that a point read found; `name` is for the refusal.
storage::LeadDone AnswerWith(Reply<v1::Lead>& reply, std::string name) {
  return
      [&reply, name = std::move(name)](const absl::StatusOr<std::optional<domain::Lead>>& found) {
        if (!found.ok()) return reply.Finish(found.status());
        if (!found->has_value()) return reply.Finish(domain::NotFound("Lead", name));
        absl::Status status;
        try {
          Answer(reply, **found);
        } catch (const std::exception&) {
          status = CaughtException();
        }
        reply.Finish(status);
      };
}

}  // namespace

LeadService::LeadService(const Edge& edge) : Endpoint(edge, "relais.v1.LeadService") {
  Unary("CaptureLead", &LeadService::CaptureLead);
  Unary("BatchCaptureLeads", &LeadService::BatchCaptureLeads);
  Unary("GetLead", &LeadService::GetLead);
  Unary("BatchGetLeads", &LeadService::BatchGetLeads);
  Unary("LookupLead", &LeadService::LookupLead);
  Unary("ListLeads", &LeadService::ListLeads);
  Unary("SearchLeads", &LeadService::SearchLeads);
  Unary("FindDuplicates", &LeadService::FindDuplicates);
  Unary("MergeLeads", &LeadService::MergeLeads);
  Unary("UnmergeLead", &LeadService::UnmergeLead);
  Unary("UpdateLead", &LeadService::UpdateLead);
  Unary("RecordTouchpoint", &LeadService::RecordTouchpoint);
  Unary("BatchRecordTouchpoints", &LeadService::BatchRecordTouchpoints);
  Unary("ListTouchpoints", &LeadService::ListTouchpoints);
  Unary("ListLeadTransitions", &LeadService::ListLeadTransitions);
  Unary("ListLeadChanges", &LeadService::ListLeadChanges);
  Unary("AssignLead", &LeadService::AssignLead);
  Unary("BatchAssignLeads", &LeadService::BatchAssignLeads);
}

absl::Status LeadService::CaptureLead(Reply<v1::CaptureLeadResponse>& reply,
                                      const v1::CaptureLeadRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCaptureLead(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status LeadService::BatchCaptureLeads(Reply<v1::BatchCaptureLeadsResponse>& reply,
                                            const v1::BatchCaptureLeadsRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseBatchCaptureLeads(request, reply.decoding()));
  auto detail = request.return_resources() ? convert::Detail::kWhole : convert::Detail::kNames;
  return KeepItems(
      reply, std::move(parsed),
      [detail, id = reply.exchange().id()](
          const std::vector<absl::StatusOr<commands::Result<commands::Captured>>>& results,
          v1::BatchCaptureLeadsResponse& out) {
        convert::ResponseBudget budget;
        for (const auto& result : results) {
          auto* item = out.add_results();
          if (result.ok()) {
            convert::Encode(result->value, detail, item->mutable_response());
            item->set_replayed(result->replayed);
          }
          *item->mutable_status() = convert::ToRpcStatus(result.status(), id);
          Fit(budget, *item, [&](v1::BatchCaptureLeadsResponse::Result& large) {
            if (!result.ok()) return;
            large.clear_response();
            convert::Encode(result->value, convert::Detail::kNames, large.mutable_response());
          });
        }
      });
}

absl::Status LeadService::GetLead(Reply<v1::Lead>& reply, const v1::GetLeadRequest& request) {
  ASSIGN_OR_RETURN(convert::LeadAt at, convert::ParseGetLead(request, reply.decoding()));
  if (at.read_time.has_value()) {
    return Read(reply, [at](storage::ReadTxn& txn, v1::Lead& out) -> absl::Status {
      ASSIGN_OR_RETURN(domain::Lead lead, LeadAsOf(txn, at.lead, *at.read_time));
      convert::Encode(lead, &out);
      return absl::OkStatus();
    });
  }
  reply.edge().store.GetLead(reply.call(), at.lead, AnswerWith(reply, request.name()));
  return absl::OkStatus();
}

absl::Status LeadService::BatchGetLeads(Reply<v1::BatchGetLeadsResponse>& reply,
                                        const v1::BatchGetLeadsRequest& request) {
  ASSIGN_OR_RETURN(std::vector<domain::LeadId> ids,
                   convert::ParseBatchGetLeads(request, reply.decoding()));
  return Read(reply, [ids](storage::ReadTxn& txn, v1::BatchGetLeadsResponse& out) -> absl::Status {
    ASSIGN_OR_RETURN(auto found, txn.GetLeads(ids));
    convert::ResponseBudget budget;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!found[i].has_value()) return domain::NotFound("Lead", domain::NameOf(ids[i]));
      v1::Lead* lead = out.add_leads();
      convert::Encode(*found[i], lead);
      if (!budget.Take(*lead)) {
        return domain::InvalidField(
            "names", Concat("name more than ", convert::kMaxResponseBytes,
                            " bytes of leads; ask for the first ", i, " and the others apart"));
      }
    }
    return absl::OkStatus();
  });
}

absl::Status LeadService::LookupLead(Reply<v1::Lead>& reply, const v1::LookupLeadRequest& request) {
  ASSIGN_OR_RETURN(domain::IdentityKey key, convert::ParseLookupLead(request, reply.decoding()));
  // What was asked for is personal, so the refusal does not repeat it.
  reply.edge().store.LookupLead(reply.call(), std::move(key), AnswerWith(reply, ""));
  return absl::OkStatus();
}

absl::Status LeadService::ListLeads(Reply<v1::ListLeadsResponse>& reply,
                                    const v1::ListLeadsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListLeads(request, reply.decoding()));
  return ListOnWire(reply, std::move(page), &storage::ReadTxn::ListLeads,
                    v1::ListLeadsResponse::kLeadsFieldNumber);
}

absl::Status LeadService::SearchLeads(Reply<v1::SearchLeadsResponse>& reply,
                                      const v1::SearchLeadsRequest& request) {
  ASSIGN_OR_RETURN(convert::SearchPage page, convert::ParseSearchLeads(request, reply.decoding()));
  return Read(
      reply, [&reply, page](storage::ReadTxn& txn, v1::SearchLeadsResponse& out) -> absl::Status {
        // One more than is shown tells whether there is another page.
        const int64_t end = page.offset + page.limit;
        ASSIGN_OR_RETURN(std::vector<storage::SearchHit> hits,
                         txn.Search(page.words, static_cast<int>(end + 1)));
        std::vector<domain::LeadId> ids;
        for (int64_t i = page.offset; i < end && i < static_cast<int64_t>(hits.size()); ++i) {
          ids.push_back(hits[static_cast<size_t>(i)].lead);
        }
        ASSIGN_OR_RETURN(auto leads, txn.GetLeads(ids));
        convert::ResponseBudget budget;
        size_t shown = 0;
        for (; shown < leads.size(); ++shown) {
          if (!leads[shown].has_value()) continue;
          auto* result = out.add_results();
          convert::Encode(*leads[shown], result->mutable_lead());
          result->set_relevance(hits[static_cast<size_t>(page.offset) + shown].relevance);
          if (!budget.Take(*result)) {
            out.mutable_results()->RemoveLast();
            break;
          }
        }
        if (page.offset + static_cast<int64_t>(shown) < static_cast<int64_t>(hits.size())) {
          out.set_next_page_token(
              convert::NextPageToken(reply.decoding(), page, static_cast<int64_t>(shown)));
        }
        return absl::OkStatus();
      });
}

absl::Status LeadService::FindDuplicates(Reply<v1::FindDuplicatesResponse>& reply,
                                         const v1::FindDuplicatesRequest& request) {
  ASSIGN_OR_RETURN(convert::DuplicatesPage page,
                   convert::ParseFindDuplicates(request, reply.decoding()));
  return Read(
      reply,
      [&reply, page](storage::ReadTxn& txn, v1::FindDuplicatesResponse& out) -> absl::Status {
        ASSIGN_OR_RETURN(std::vector<DuplicateCandidate> found,
                         DuplicatesOf(txn, page.lead, page.min_score));
        convert::ResponseBudget budget;
        const int64_t end =
            std::min<int64_t>(page.offset + page.limit, static_cast<int64_t>(found.size()));
        int64_t shown = page.offset;
        for (; shown < end; ++shown) {
          const DuplicateCandidate& candidate = found[static_cast<size_t>(shown)];
          auto* entry = out.add_candidates();
          convert::Encode(candidate.lead, candidate.comparison, entry);
          if (!budget.Take(*entry)) {
            out.mutable_candidates()->RemoveLast();
            break;
          }
        }
        if (shown < static_cast<int64_t>(found.size())) {
          out.set_next_page_token(
              convert::NextPageToken(reply.decoding(), page, shown - page.offset));
        }
        return absl::OkStatus();
      });
}

absl::Status LeadService::MergeLeads(Reply<v1::Lead>& reply, const v1::MergeLeadsRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseMergeLeads(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status LeadService::UnmergeLead(Reply<v1::UnmergeLeadResponse>& reply,
                                      const v1::UnmergeLeadRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUnmergeLead(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status LeadService::UpdateLead(Reply<v1::Lead>& reply, const v1::UpdateLeadRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateLead(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status LeadService::RecordTouchpoint(Reply<v1::Touchpoint>& reply,
                                           const v1::RecordTouchpointRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseRecordTouchpoint(request, reply.decoding()));
  return KeepAnd(reply, std::move(parsed),
                 [](const commands::Result<commands::Recorded>& result, Reply<v1::Touchpoint>& to) {
                   Answer(to, result.value.touchpoint);
                 });
}

absl::Status LeadService::BatchRecordTouchpoints(Reply<v1::BatchRecordTouchpointsResponse>& reply,
                                                 const v1::BatchRecordTouchpointsRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseBatchRecordTouchpoints(request, reply.decoding()));
  return KeepItems(
      reply, std::move(parsed),
      [id = reply.exchange().id()](
          const std::vector<absl::StatusOr<commands::Result<commands::Recorded>>>& results,
          v1::BatchRecordTouchpointsResponse& out) {
        convert::ResponseBudget budget;
        for (const auto& result : results) {
          auto* item = out.add_results();
          if (result.ok()) {
            convert::Encode(result->value.touchpoint, item->mutable_touchpoint());
            item->set_replayed(result->replayed || result->value.known);
          }
          *item->mutable_status() = convert::ToRpcStatus(result.status(), id);
          Fit(budget, *item, [](v1::BatchRecordTouchpointsResponse::Result& large) {
            std::string name = large.touchpoint().name();
            if (large.has_touchpoint()) {
              large.clear_touchpoint();
              large.mutable_touchpoint()->set_name(name);
            }
          });
        }
      });
}

absl::Status LeadService::ListTouchpoints(Reply<v1::ListTouchpointsResponse>& reply,
                                          const v1::ListTouchpointsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page,
                   convert::ParseListTouchpoints(request, reply.decoding()));
  return ListOnWire(reply, std::move(page), &storage::ReadTxn::ListTouchpoints,
                    v1::ListTouchpointsResponse::kTouchpointsFieldNumber);
}

absl::Status LeadService::ListLeadTransitions(Reply<v1::ListLeadTransitionsResponse>& reply,
                                              const v1::ListLeadTransitionsRequest& request) {
  ASSIGN_OR_RETURN(convert::HistoryPage page,
                   convert::ParseListLeadTransitions(request, reply.decoding()));
  return Read(
      reply,
      [&reply, page](storage::ReadTxn& txn, v1::ListLeadTransitionsResponse& out) -> absl::Status {
        ASSIGN_OR_RETURN(domain::Lead lead, FindLead(txn, page.lead));
        convert::ResponseBudget budget;
        int64_t score = page.score;
        int64_t last_number = page.after_number;
        int64_t last_score = page.score;
        // The score that a page goes on with is that of one lead: where there are several, theirs
        // are followed from their beginnings.
        convert::HistoryPage from = page;
        std::map<std::string, int64_t> scores;
        if (!lead.merged_leads.empty()) from.after_number = 0;
        return EachEvent(txn, from, lead, [&](const domain::Event& event) {
          int64_t& own = lead.merged_leads.empty() ? score : scores[event.lead.value];
          std::optional<v1::Transition> transition = convert::TransitionOf(event, own);
          score = own;
          if (!transition.has_value() || event.number <= page.after_number) return true;
          if (out.transitions_size() == page.limit || !budget.Take(*transition)) {
            out.set_next_page_token(
                convert::NextPageToken(reply.decoding(), page, last_number, last_score));
            return false;
          }
          *out.add_transitions() = *std::move(transition);
          last_number = event.number;
          last_score = score;
          return true;
        });
      });
}

absl::Status LeadService::ListLeadChanges(Reply<v1::ListLeadChangesResponse>& reply,
                                          const v1::ListLeadChangesRequest& request) {
  ASSIGN_OR_RETURN(convert::HistoryPage page,
                   convert::ParseListLeadChanges(request, reply.decoding()));
  return Read(
      reply,
      [&reply, page](storage::ReadTxn& txn, v1::ListLeadChangesResponse& out) -> absl::Status {
        ASSIGN_OR_RETURN(domain::Lead lead, FindLead(txn, page.lead));
        convert::ResponseBudget budget;
        int events = 0;
        int64_t last_number = page.after_number;
        return EachEvent(txn, page, lead, [&](const domain::Event& event) {
          v1::ListLeadChangesResponse some;
          convert::AppendChanges(event, some.mutable_changes());
          if (some.changes_size() == 0) return true;
          if (events == page.limit || !budget.Take(some)) {
            out.set_next_page_token(convert::NextPageToken(reply.decoding(), page, last_number, 0));
            return false;
          }
          out.MergeFrom(some);
          ++events;
          last_number = event.number;
          return true;
        });
      });
}

absl::Status LeadService::AssignLead(Reply<v1::Lead>& reply, const v1::AssignLeadRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseAssignLead(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status LeadService::BatchAssignLeads(Reply<v1::BatchAssignLeadsResponse>& reply,
                                           const v1::BatchAssignLeadsRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseBatchAssignLeads(request, reply.decoding()));
  return KeepItems(reply, std::move(parsed),
                   [id = reply.exchange().id()](
                       const std::vector<absl::StatusOr<commands::Result<domain::Lead>>>& results,
                       v1::BatchAssignLeadsResponse& out) {
                     for (const auto& result : results) {
                       auto* item = out.add_results();
                       if (result.ok()) {
                         item->set_lead(domain::NameOf(result->value.id));
                         item->set_owner(result->value.owner);
                         item->set_replayed(result->replayed);
                       }
                       *item->mutable_status() = convert::ToRpcStatus(result.status(), id);
                     }
                   });
}

}  // namespace relais::services
