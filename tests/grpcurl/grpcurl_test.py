#!/usr/bin/env python3
"""Every call of the contract, and its refusals, through reflection against the shipped binary.

The calls are written out as JSON, as a stranger would type them. At the end every method that the
server lists must have been called.
"""

import datetime
import json
import pathlib
import sys
import time
import uuid

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))

from grpcurl import CALLED, Grpcurl
from harness import Server, Suite, arguments, check, check_equal, engine_of

SERVICES = ["DirectoryService", "EventService", "ImportService", "InsightService", "LeadService",
            "OperationsService", "OpportunityService", "PrivacyService", "QualificationService"]
NOBODY = "leads/00000000-0000-7000-8000-000000000000"
BANT = [
    {"criterion": "budget", "state": "CRITERION_STATE_MET", "evidence": "said so",
     "budget": {"minimum": {"currencyCode": "EUR", "units": "10000"},
                "maximum": {"currencyCode": "EUR", "units": "20000"}}},
    {"criterion": "authority", "state": "CRITERION_STATE_MET",
     "authorityRole": "AUTHORITY_ROLE_DECISION_MAKER"},
    {"criterion": "need", "state": "CRITERION_STATE_MET", "need": "fewer lost leads",
     "needSeverity": "NEED_SEVERITY_HIGH"},
    {"criterion": "timeline", "state": "CRITERION_STATE_MET", "targetTime": "2035-06-30T00:00:00Z"},
]


def request_id():
    return str(uuid.uuid4())


def ahead(minutes):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return moment.isoformat().replace("+00:00", "Z")


# grpcurl knows FieldMask as an ordinary message.
def mask(*paths):
    return {"paths": list(paths)}


class Story:
    """One server, and the resources that the cases hand on to each other."""

    def __init__(self, suite, server):
        self.suite = suite
        self.g = Grpcurl(server)
        self.lead = self.second = self.opportunity = self.user = self.team = None

    def head(self):
        events = self.g.call("EventService/Watch", {"untilNow": True})
        numbers = [int(m["event"]["number"]) for m in events if "event" in m]
        check_equal(numbers, list(range(1, len(numbers) + 1)), "the feed has no gap")
        return len(numbers)

    def writes_nothing(self, method, request, code, reason=None, fields=None):
        """A refusal that leaves no trace in the log, where every change would be."""
        before = self.head()
        refusal = self.g.refused(method, request, code, reason, fields)
        check_equal(self.head(), before, f"{method}: events after a refusal")
        return refusal

    def reflection(self):
        g = self.g
        listed = g.raw(g.server.address, "list").out.split()
        for name in [f"relais.v1.{service}" for service in SERVICES] + ["grpc.health.v1.Health"]:
            check(name in listed, f"{name} is not listed: {listed}")
        for version in ("v1", "v1alpha"):
            answers = g.call(f"grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                             {"list_services": ""},
                             {"file_containing_symbol": "relais.v1.LeadService"},
                             {"file_by_filename": "relais/v1/lead.proto"},
                             {"file_containing_symbol": "relais.v1.Nothing"})
            names = [s["name"] for s in answers[0]["listServicesResponse"]["service"]]
            check("relais.v1.LeadService" in names, f"{version}: {names}")
            for answer in answers[1:3]:
                check(answer["fileDescriptorResponse"]["fileDescriptorProto"], version)
            check_equal(answers[3]["errorResponse"]["errorCode"], 5, f"{version}: unknown symbol")
        described = g.raw(g.server.address, "describe", "relais.v1.Lead").out
        check("message Lead" in described, described)

    def health(self):
        for service in ["", *(f"relais.v1.{name}" for name in SERVICES)]:
            answer = self.g.one("grpc.health.v1.Health/Check", {"service": service})
            check_equal(answer["status"], "SERVING", service)
        self.g.refused("grpc.health.v1.Health/Check", {"service": "relais.v1.Nothing"}, "NOT_FOUND")

    def directory(self):
        g = self.g
        self.team = g.one("DirectoryService/CreateTeam", {"team": {"displayName": "North"}})["name"]
        self.writes_nothing("DirectoryService/CreateTeam", {"team": {"displayName": "North"}},
                            "ALREADY_EXISTS", "ALREADY_EXISTS")
        self.writes_nothing("DirectoryService/CreateTeam", {"team": {}}, "INVALID_ARGUMENT",
                            "INVALID_FIELD", ["team.display_name"])
        user = g.one("DirectoryService/CreateUser", {
            "user": {"displayName": "Inès Moreau", "email": "ines@example.com",
                     "teams": [self.team], "timeZone": "Europe/Paris"}})
        self.user = user["name"]
        self.writes_nothing("DirectoryService/CreateUser", {
            "user": {"displayName": "Another", "email": "INES@example.com"}}, "ALREADY_EXISTS")
        check_equal(g.one("DirectoryService/GetUser", {"name": self.user}), user, "GetUser")
        check_equal(g.one("DirectoryService/GetTeam", {"name": self.team})["displayName"], "North",
                    "GetTeam")
        changed = g.one("DirectoryService/UpdateUser", {
            "user": {"name": self.user, "language": "fr", "etag": user["etag"]},
            "updateMask": mask("language")})
        check_equal(changed["language"], "fr", "UpdateUser")
        self.writes_nothing("DirectoryService/UpdateUser", {
            "user": {"name": self.user, "language": "en", "etag": user["etag"]},
            "updateMask": mask("language")}, "ABORTED", "ETAG_MISMATCH")
        g.one("DirectoryService/UpdateTeam", {
            "team": {"name": self.team, "displayName": "North and East"}, "updateMask": mask("display_name")})
        check_equal(len(g.one("DirectoryService/ListUsers")["users"]), 1, "users")
        check_equal(len(g.one("DirectoryService/ListTeams")["teams"]), 1, "teams")
        self.writes_nothing("DirectoryService/GetUser", {"name": "users/nobody"}, "INVALID_ARGUMENT",
                            "INVALID_FIELD", ["name"])
        old = g.one("DirectoryService/CreateUser", {"user": {"displayName": "Left the company"}})
        check(g.one("DirectoryService/ArchiveUser", {"name": old["name"]})["archived"], "ArchiveUser")
        self.archived = old["name"]
        spare = g.one("DirectoryService/CreateTeam", {"team": {"displayName": "Spare"}})
        check(g.one("DirectoryService/ArchiveTeam", {"name": spare["name"]})["archived"], "ArchiveTeam")

    def capture(self):
        g = self.g
        once = request_id()
        request = {
            "lead": {
                "market": "MARKET_B2B",
                "person": {"givenName": "Jeanne", "familyName": "Petit", "country": "FR",
                           "emails": [{"address": "Jeanne.Petit@Example.com"}],
                           "phones": [{"raw": "06 12 34 56 78"}]},
                "organization": {"displayName": "Atelier Petit", "domain": "example.com"},
                "acquisition": {"channel": "CHANNEL_WEBINAR", "source": "autumn webinar"},
                "externalIds": [{"system": "web", "id": "w-1"}],
            },
            "touchpoint": {"kind": "TOUCHPOINT_KIND_WEBINAR_ATTENDED", "source": "zoom",
                           "externalId": "z-1", "occurTime": "2024-03-01T10:00:00Z"},
            "consents": [{"channel": "CONSENT_CHANNEL_EMAIL", "purpose": "CONSENT_PURPOSE_MARKETING",
                          "state": "CONSENT_STATE_GRANTED"}],
            "requestId": once,
        }
        before = self.head()
        g.one("LeadService/CaptureLead", {**request, "validateOnly": True})
        check_equal(self.head(), before, "validate_only writes nothing")
        first = g.verbose("LeadService/CaptureLead", request)
        answer = first.messages[0]
        check_equal(answer["outcome"], "CAPTURE_OUTCOME_CREATED", "outcome")
        lead = answer["lead"]
        self.lead = lead["name"]
        check_equal(lead["stage"], "STAGE_LEAD", "stage")
        check_equal(lead["person"]["emails"][0]["address"], "jeanne.petit@example.com", "e-mail")
        check_equal(lead["person"]["phones"][0]["number"], "+33612345678", "phone")
        check_equal(int(first.trailers["relais-position"]), self.head(), "relais-position")
        check("relais-replayed" not in first.trailers, "the first is no replay")
        again = g.verbose("LeadService/CaptureLead", request)
        check_equal(again.messages[0]["lead"], lead, "the retry answers the same lead")
        check_equal(again.trailers["relais-replayed"], "1", "relais-replayed")
        self.writes_nothing("LeadService/CaptureLead", {
            "lead": {"person": {"emails": [{"address": "other@example.com"}]}}, "requestId": once},
            "ALREADY_EXISTS", "REQUEST_ID_REUSED")
        matched = g.one("LeadService/CaptureLead", {
            "lead": {"person": {"emails": [{"address": "JEANNE.PETIT@example.COM"}]}}})
        check_equal((matched["outcome"], matched["matchedBy"], matched["lead"]["name"]),
                    ("CAPTURE_OUTCOME_MATCHED", "IDENTITY_KIND_EMAIL", self.lead), "matched by e-mail")
        known = g.one("LeadService/CaptureLead", {
            "lead": {"externalIds": [{"system": "web", "id": "w-1"}]},
            "touchpoint": {"kind": "TOUCHPOINT_KIND_WEBINAR_ATTENDED", "source": "zoom",
                           "externalId": "z-1"}})
        check_equal(known["touchpoint"]["name"], answer["touchpoint"]["name"], "known touchpoint")

    def bad_captures(self):
        person = {"givenName": "Paul"}
        touch = {"kind": "TOUCHPOINT_KIND_FORM"}
        cases = [
            ({"lead": {}}, ["lead"]),
            ({}, ["lead"]),
            ({"lead": {"person": {"emails": [{"address": "not an address"}]}}},
             ["lead.person.emails[0].address"]),
            ({"lead": {"person": {"phones": [{"number": "12"}]}}}, ["lead.person.phones[0].number"]),
            ({"lead": {"person": {**person, "country": "XX"}}}, ["lead.person.country"]),
            ({"lead": {"person": person, "estimatedValue": {"currencyCode": "E", "units": 1}}},
             ["lead.estimated_value.currency_code"]),
            ({"lead": {"person": person}, "touchpoint": {**touch, "occurTime": ahead(6)}},
             ["touchpoint.occur_time"]),
            ({"lead": {"person": person}, "touchpoint": {"kind": 99}}, ["touchpoint.kind"]),
            ({"lead": {"person": {"givenName": "x" * 10_000}}}, ["lead.person.given_name"]),
            ({"lead": {"person": {"givenName": "a\u0000b"}}}, ["lead.person.given_name"]),
            ({"lead": {"person": {"givenName": "a\u0007b"}}}, ["lead.person.given_name"]),
            ({"lead": {"person": {"givenName": "a\u202eb"}}}, ["lead.person.given_name"]),
            ({"lead": {"person": person}, "requestId": "not a uuid"}, ["request_id"]),
            ({"lead": {"person": {"emails": [{"address": "x"}], "country": "??"}},
              "touchpoint": {**touch, "externalId": "1"}},
             ["lead.person.emails[0].address", "lead.person.country", "touchpoint.source"]),
        ]
        for request, fields in cases:
            refusal = self.writes_nothing("LeadService/CaptureLead", request, "INVALID_ARGUMENT",
                                          "INVALID_FIELD")
            missing = [f for f in fields if not any(
                got == f or got.startswith(f + ".") or f.startswith(got + ".") for got in refusal.fields)]
            check_equal(missing, [], f"fields named for {json.dumps(request)[:120]}: {refusal.fields}")
            text = json.dumps(refusal.message) + json.dumps(refusal.violations)
            check("not an address" not in text, "a personal value is repeated")

    def leads(self):
        g = self.g
        lead = g.one("LeadService/GetLead", {"name": self.lead})
        batch = g.one("LeadService/BatchCaptureLeads", {"requests": [
            {"lead": {"person": {"emails": [{"address": f"batch{i}@example.com"}],
                                 "familyName": f"Durand{i}"}}} for i in range(3)
        ] + [{"lead": {}}]})
        results = batch["results"]
        check_equal(["response" in r for r in results], [True] * 3 + [False], "batch results")
        check_equal(results[3]["status"]["code"], 3, "the bad item fails alone")
        self.second = results[0]["response"]["lead"]["name"]
        names = [r["response"]["lead"]["name"] for r in results[:3]]
        got = g.one("LeadService/BatchGetLeads", {"names": names})
        check_equal([x["name"] for x in got["leads"]], names, "BatchGetLeads keeps the order")
        g.refused("LeadService/BatchGetLeads", {"names": [names[0], NOBODY]}, "NOT_FOUND", "NOT_FOUND")
        g.refused("LeadService/GetLead", {"name": NOBODY}, "NOT_FOUND", "NOT_FOUND")
        g.refused("LeadService/GetLead", {"name": "leads/1"}, "INVALID_ARGUMENT", "INVALID_FIELD", ["name"])
        g.refused("LeadService/GetLead", {"name": self.lead, "readTime": ahead(60)},
                  "INVALID_ARGUMENT", "INVALID_FIELD", ["read_time"])
        for key in ({"externalId": {"system": "web", "id": "w-1"}}, {"email": "Jeanne.PETIT@example.com"},
                    {"phone": "06 12 34 56 78", "country": "FR"}, {"phone": "+33612345678"}):
            check_equal(g.one("LeadService/LookupLead", key)["name"], self.lead, f"LookupLead {key}")
        g.refused("LeadService/LookupLead", {"email": "nobody@example.com"}, "NOT_FOUND")
        g.refused("LeadService/LookupLead", {}, "INVALID_ARGUMENT")

        page = g.one("LeadService/ListLeads", {"pageSize": 3, "orderBy": "create_time desc"})
        check_equal(len(page["leads"]), 3, "a page")
        rest = g.one("LeadService/ListLeads", {"pageSize": 3, "orderBy": "create_time desc",
                                               "pageToken": page["nextPageToken"]})
        every = [x["name"] for x in page["leads"] + rest["leads"]]
        check_equal(len(set(every)), 4, "two pages hold the four leads")
        filtered = g.one("LeadService/ListLeads", {
            "filter": 'stage = LEAD AND acquisition.channel = "WEBINAR" AND '
                      'count(touchpoints, kind = WEBINAR_ATTENDED, 400d) >= 0 AND person.emails:*'})
        check_equal([x["name"] for x in filtered["leads"]], [self.lead], "a filter")
        token = page["nextPageToken"]
        forged = ("A" if token[5] != "A" else "B").join([token[:5], token[6:]])
        for request, reason, field in [
            ({"pageSize": -1}, "INVALID_FIELD", "page_size"),
            ({"pageToken": forged, "pageSize": 3, "orderBy": "create_time desc"},
             "INVALID_PAGE_TOKEN", "page_token"),
            ({"pageToken": token, "pageSize": 3}, "INVALID_PAGE_TOKEN", "page_token"),
            ({"orderBy": "secret"}, "INVALID_FIELD", "order_by"),
            ({"filter": "stage ="}, "INVALID_FILTER", "filter"),
            ({"filter": "nothing = 1"}, "INVALID_FILTER", "filter"),
            ({"filter": "(" * 10_000 + "stage = LEAD" + ")" * 10_000}, "INVALID_FILTER", "filter"),
            ({"filter": "stage = LEAD OR " * 60_000 + "stage = LEAD"}, "INVALID_FILTER", "filter"),
        ]:
            g.refused("LeadService/ListLeads", request, "INVALID_ARGUMENT", reason, [field])
        check_equal(len(g.one("LeadService/ListLeads", {"pageSize": 10**9})["leads"]), 4,
                    "a huge page size is lowered")

        updated = g.one("LeadService/UpdateLead", {
            "lead": {"name": self.lead, "person": {"jobTitle": "Director"}, "etag": lead["etag"]},
            "updateMask": mask("person.job_title"), "requestId": request_id()})
        check_equal(updated["person"]["jobTitle"], "Director", "UpdateLead")
        check(updated["etag"] != lead["etag"], "the etag moves")
        stale = self.writes_nothing("LeadService/UpdateLead", {
            "lead": {"name": self.lead, "person": {"jobTitle": "Intern"}, "etag": lead["etag"]},
            "updateMask": mask("person.job_title")}, "ABORTED", "ETAG_MISMATCH")
        check_equal(stale.metadata["actual"], updated["etag"], "the actual etag is told")
        for path in ("stage", "score", "acquisition.source", "nothing", "owner"):
            self.writes_nothing("LeadService/UpdateLead", {
                "lead": {"name": self.lead, "stage": "STAGE_CUSTOMER"}, "updateMask": mask(path)},
                "INVALID_ARGUMENT", "INVALID_FIELD")
        self.writes_nothing("LeadService/UpdateLead", {
            "lead": {"name": self.second, "person": {"emails": [{"address": "jeanne.petit@example.com"}]}},
            "updateMask": mask("person.emails")}, "ALREADY_EXISTS")
        owned = g.one("LeadService/AssignLead", {"name": self.lead, "owner": self.user})
        check_equal(owned["owner"], self.user, "AssignLead")
        self.writes_nothing("LeadService/AssignLead", {"name": self.lead, "owner": self.archived},
                            "FAILED_PRECONDITION", "USER_ARCHIVED")
        changes = g.one("LeadService/ListLeadChanges", {"parent": self.lead})["changes"]
        check(any(c["path"] == "person.job_title" and c["newValue"] == "Director" for c in changes),
              "ListLeadChanges knows the job title")

    def search(self):
        # The index follows the feed within a second; asked until it does, or the test's limit ends it.
        for _ in range(100):
            found = self.g.one("LeadService/SearchLeads", {"query": "jeane petit"}).get("results", [])
            if found:
                break
        check_equal([r["lead"]["name"] for r in found][:1], [self.lead], "a typing error is forgiven")
        self.g.refused("LeadService/SearchLeads", {"query": "x"}, "INVALID_ARGUMENT", "INVALID_FIELD",
                       ["query"])

    def duplicates(self):
        g = self.g
        twin = g.one("LeadService/CaptureLead", {"lead": {"person": {
            "givenName": "Jeanne", "familyName": "Merge",
            "emails": [{"address": "j.merge@example.org"}]}}})["lead"]["name"]
        other = g.one("LeadService/CaptureLead", {"lead": {"person": {
            "givenName": "Jeanne", "familyName": "Merge", "birthDate": "1980-04-17",
            "emails": [{"address": "jeanne.merge@example.net"}]}}})["lead"]["name"]
        found = g.one("LeadService/FindDuplicates", {"name": twin, "minScore": 1})
        check(isinstance(found.get("candidates", []), list), "FindDuplicates")
        g.refused("LeadService/FindDuplicates", {"name": NOBODY}, "NOT_FOUND")
        g.refused("LeadService/FindDuplicates", {"name": twin, "minScore": 1001}, "INVALID_ARGUMENT",
                  "INVALID_FIELD", ["min_score"])
        self.writes_nothing("LeadService/MergeLeads", {"name": twin, "leads": [twin]},
                            "INVALID_ARGUMENT", "INVALID_FIELD", ["leads[0]"])
        self.writes_nothing("LeadService/MergeLeads", {"name": twin, "leads": [NOBODY]}, "NOT_FOUND")
        merged = g.one("LeadService/MergeLeads", {"name": twin, "leads": [other],
                                                  "requestId": request_id()})
        check_equal((merged["name"], merged["mergedLeads"]), (twin, [other]), "MergeLeads")
        check_equal(g.one("LeadService/GetLead", {"name": other})["name"], twin, "the old name answers")
        self.writes_nothing("LeadService/MergeLeads", {"name": self.lead, "leads": [other]},
                            "FAILED_PRECONDITION", "ALREADY_MERGED")
        again = g.one("LeadService/UnmergeLead", {"name": other, "requestId": request_id()})
        check_equal((again["lead"]["name"], again["survivor"]["name"]), (other, twin), "UnmergeLead")
        self.writes_nothing("LeadService/UnmergeLead", {"name": other}, "FAILED_PRECONDITION",
                            "NOT_MERGED")

    def touchpoints(self):
        g = self.g
        visit = {"kind": "TOUCHPOINT_KIND_PRICING_VIEW", "source": "site", "externalId": "visit-1"}
        first = g.one("LeadService/RecordTouchpoint", {"parent": self.lead, "touchpoint": visit})
        before = self.head()
        second = g.one("LeadService/RecordTouchpoint", {"parent": self.lead, "touchpoint": visit})
        check_equal((second["name"], self.head()), (first["name"], before), "a known key changes nothing")
        batch = g.one("LeadService/BatchRecordTouchpoints", {"requests": [
            {"parent": self.lead, "touchpoint": {"kind": "TOUCHPOINT_KIND_CALL", "durationSeconds": "60"}},
            {"parent": NOBODY, "touchpoint": {"kind": "TOUCHPOINT_KIND_CALL"}}]})["results"]
        check_equal((batch[0]["touchpoint"]["kind"], batch[1]["status"]["code"]),
                    ("TOUCHPOINT_KIND_CALL", 5), "each touchpoint has its result")
        listed = g.one("LeadService/ListTouchpoints", {"parent": self.lead})["touchpoints"]
        check_equal(len(listed), 4, "touchpoints")
        calls = g.one("LeadService/ListTouchpoints", {"parent": self.lead, "filter": "kind = CALL"})
        check_equal(len(calls["touchpoints"]), 1, "a filter over touchpoints")
        self.writes_nothing("LeadService/RecordTouchpoint", {"parent": self.lead, "touchpoint": {}},
                            "INVALID_ARGUMENT", "INVALID_FIELD", ["touchpoint.kind"])

    def consents(self):
        g = self.g
        withdrawn = {"channel": "CONSENT_CHANNEL_EMAIL", "purpose": "CONSENT_PURPOSE_MARKETING",
                     "state": "CONSENT_STATE_WITHDRAWN", "source": "mail"}
        g.one("PrivacyService/SetConsent", {"parent": self.lead, "consent": withdrawn})
        listed = g.one("PrivacyService/ListConsents", {"parent": self.lead})["consents"]
        check_equal([c["state"] for c in listed], ["CONSENT_STATE_WITHDRAWN", "CONSENT_STATE_GRANTED"],
                    "decisions are kept, the latest first")
        lead = g.one("LeadService/GetLead", {"name": self.lead})
        check_equal(lead["consents"], {"EMAIL/MARKETING": "WITHDRAWN"}, "the lead says the latest")
        self.writes_nothing("PrivacyService/SetConsent", {"parent": self.lead, "consent": {}},
                            "INVALID_ARGUMENT", "INVALID_FIELD",
                            ["consent.channel", "consent.purpose", "consent.state"])

    def qualification(self):
        g = self.g
        policies = g.one("QualificationService/ListQualificationPolicies")["qualificationPolicies"]
        check_equal(sorted(p["name"] for p in policies),
                    ["qualificationPolicies/b2c", "qualificationPolicies/bant", "qualificationPolicies/meddic"], "policies")
        bant = g.one("QualificationService/GetQualificationPolicy", {"name": "qualificationPolicies/bant"})
        check_equal([c["criterion"] for c in bant["criteria"]], ["budget", "authority", "need", "timeline"],
                    "BANT")
        refusal = self.writes_nothing("QualificationService/QualifyLead", {"name": self.lead},
                                      "FAILED_PRECONDITION", "CRITERIA_NOT_MET")
        check_equal(len(refusal.violations), 4, f"every unmet criterion is listed: {refusal.violations}")
        self.writes_nothing("QualificationService/AssessLead", {
            "parent": self.lead, "assessment": {"answers": [
                {"criterion": "charm", "state": "CRITERION_STATE_MET"}]}},
            "INVALID_ARGUMENT", "INVALID_FIELD", ["assessment.answers[0].criterion"])
        g.one("QualificationService/AssessLead", {"parent": self.lead, "assessment": {"answers": BANT[:3]}})
        refusal = self.writes_nothing("QualificationService/QualifyLead", {"name": self.lead,
                                                                          "validateOnly": True},
                                      "FAILED_PRECONDITION", "CRITERIA_NOT_MET")
        check_equal(len(refusal.violations), 1, "one criterion is left")
        g.one("QualificationService/AssessLead", {"parent": self.lead, "assessment": {"answers": BANT[3:]}})
        check_equal(len(g.one("QualificationService/ListAssessments", {"parent": self.lead})["assessments"]),
                    2, "assessments")
        once = request_id()
        lead = g.one("QualificationService/QualifyLead", {"name": self.lead, "requestId": once})
        check_equal(lead["stage"], "STAGE_PROSPECT", "stage")
        replay = g.verbose("QualificationService/QualifyLead", {"name": self.lead, "requestId": once,
                                                               "etag": "stale"})
        check_equal((replay.messages[0]["stage"], replay.trailers["relais-replayed"]),
                    ("STAGE_PROSPECT", "1"), "the retry of a success is a success, whatever its etag")
        self.writes_nothing("QualificationService/QualifyLead", {"name": self.lead},
                            "FAILED_PRECONDITION", "ILLEGAL_TRANSITION")
        self.writes_nothing("QualificationService/RecycleLead", {"name": self.lead, "reason": "later"},
                            "FAILED_PRECONDITION", "ILLEGAL_TRANSITION")
        self.writes_nothing("QualificationService/DisqualifyLead", {"name": self.second},
                            "INVALID_ARGUMENT", "INVALID_FIELD", ["reason"])
        out = g.one("QualificationService/DisqualifyLead", {"name": self.second, "reason": "a student"})
        check_equal((out["stage"], out["disqualifyReason"]), ("STAGE_DISQUALIFIED", "a student"), "out")
        self.writes_nothing("OpportunityService/CreateOpportunity", {
            "opportunity": {"lead": self.second, "intention": "wants it"}},
            "FAILED_PRECONDITION", "ILLEGAL_TRANSITION")
        back = g.one("QualificationService/RecycleLead", {"name": self.second, "reason": "graduated"})
        check_equal(back["stage"], "STAGE_LEAD", "recycled")

    def scores(self):
        g = self.g
        models = g.one("QualificationService/ListScoringModels")["scoringModels"]
        check_equal(sorted(m["market"] for m in models), ["MARKET_B2B", "MARKET_B2C"], "models")
        g.one("QualificationService/GetScoringModel", {"name": models[0]["name"]})
        g.refused("QualificationService/GetScoringModel", {"name": "scoringModels/none"}, "NOT_FOUND")
        score = g.one("QualificationService/ScoreLead", {"name": self.lead})
        lead = g.one("LeadService/GetLead", {"name": self.lead})
        check_equal((score["score"], score["grade"]), (lead["score"], lead["grade"]), "score and lead agree")
        explained = g.one("QualificationService/ExplainScore", {"name": self.lead})
        check_equal(sum(int(p["points"]) for p in explained["parts"]), int(score["score"]),
                    "the parts make the score")
        past = g.one("QualificationService/ScoreLead", {"name": self.lead, "readTime": lead["createTime"]})
        check(int(past.get("score", 0)) < int(score["score"]), "the score was lower then")
        self.models()

    def models(self):
        """A model from its draft to the score of every lead, and a policy beside it."""
        g = self.g
        service = "QualificationService/"
        model = {"displayName": "Forms", "market": "MARKET_B2B", "thresholdPoints": 30,
                 "gradeBounds": {"fit": [30, 20, 10], "engagement": [30, 20, 10]},
                 "rules": [{"rule": "form", "dimension": "SCORE_DIMENSION_ENGAGEMENT", "points": 20,
                            "touchpointFilter": "kind = FORM", "windowDays": 30}]}
        self.writes_nothing(service + "CreateScoringModel", {
            "scoringModelId": "forms", "scoringModel": {**model, "rules": [{"rule": "form"}]}},
            "INVALID_ARGUMENT", "INVALID_FIELD",
            ["scoring_model.rules[0].dimension", "scoring_model.rules[0].points",
             "scoring_model.rules[0].touchpoint_filter"])
        draft = g.one(service + "CreateScoringModel", {"scoringModelId": "forms", "scoringModel": model})
        check_equal((draft["state"], draft["revision"]), ("REVISION_STATE_DRAFT", "1"), "a draft")
        self.writes_nothing(service + "CreateScoringModel", {"scoringModelId": "forms",
                                                             "scoringModel": model},
                            "ALREADY_EXISTS", "ALREADY_EXISTS")
        changed = g.one(service + "UpdateScoringModel", {
            "scoringModel": {"name": "scoringModels/forms", "thresholdPoints": 20, "etag": draft["etag"]}})
        check_equal((changed["revision"], changed["thresholdPoints"]), ("1", "20"), "changed in place")
        tried = [m["result"] for m in g.call(service + "SimulateScoringModel",
                                            {"name": "scoringModels/forms"}) if "result" in m][0]
        check_equal((tried["candidate"]["model"], tried["active"]["model"]),
                    ("scoringModels/forms@1", "scoringModels/b2b@1"), "beside the one in force")
        explained = g.one(service + "ExplainScore", {"name": self.lead, "revision": "scoringModels/forms"})
        check_equal(explained["score"]["model"], "scoringModels/forms@1", "explained by a draft")
        g.refused(service + "ActivateScoringModel", {"name": "scoringModels/none"}, "NOT_FOUND")
        active = g.one(service + "ActivateScoringModel", {"name": "scoringModels/forms"})
        check_equal(active["state"], "REVISION_STATE_ACTIVE", "in force")
        operation = g.one(service + "RescoreLeads", {"requestId": request_id()})
        done = g.call("OperationsService/WatchOperation", {"name": operation["name"]})[-1]
        check_equal(done["state"], "OPERATION_STATE_SUCCEEDED", f"rescored: {done}")
        lead = g.one("LeadService/GetLead", {"name": self.lead})
        check_equal(lead["scoreModel"], "scoringModels/forms@1", "judged anew")
        check(lead["scoreBand"].startswith("SCORE_BAND_"), "a band")
        g.one(service + "ActivateScoringModel", {"name": "scoringModels/b2b@1"})

        policy = {"displayName": "Pain", "market": "MARKET_B2B",
                  "criteria": [{"criterion": "pain", "kind": "CRITERION_KIND_TEXT", "required": True}]}
        g.one(service + "CreateQualificationPolicy", {"qualificationPolicyId": "pain",
                                                      "qualificationPolicy": policy})
        g.refused(service + "UpdateQualificationPolicy", {
            "qualificationPolicy": {"name": "qualificationPolicies/pain", "salesWeight": 1}},
            "INVALID_ARGUMENT")
        g.one(service + "UpdateQualificationPolicy", {
            "qualificationPolicy": {"name": "qualificationPolicies/pain", "displayName": "What hurts"}})
        g.one(service + "ActivateQualificationPolicy", {"name": "qualificationPolicies/pain"})
        fresh = g.one("LeadService/CaptureLead", {"lead": {
            "person": {"emails": [{"address": "override@example.com"}]},
            "organization": {"displayName": "Atelier"}}})["lead"]["name"]
        refusal = self.writes_nothing(service + "QualifyLead", {"name": fresh, "validateOnly": True},
                                      "FAILED_PRECONDITION", "CRITERIA_NOT_MET")
        check_equal(len(refusal.violations), 1, "the policy in force asks one thing")
        self.writes_nothing(service + "OverrideQualification", {"name": fresh},
                            "INVALID_ARGUMENT", "INVALID_FIELD", ["reason"])
        out = g.one(service + "OverrideQualification", {"name": fresh, "reason": "known for years"})
        check_equal(out["stage"], "STAGE_PROSPECT", "against the criteria")
        g.one(service + "ActivateQualificationPolicy", {"name": "qualificationPolicies/bant@1"})

    def opportunities(self):
        g = self.g
        self.writes_nothing("OpportunityService/CreateOpportunity", {"opportunity": {"lead": self.lead}},
                            "INVALID_ARGUMENT", "INVALID_FIELD", ["opportunity.intention"])
        made = g.one("OpportunityService/CreateOpportunity", {
            "opportunity": {"lead": self.lead, "intention": "wants an offer by Friday",
                            "displayName": "Workshop", "externalIds": [{"system": "erp", "id": "o-1"}]},
            "requestId": request_id()})
        self.opportunity = made["name"]
        check_equal((made["stage"], made["owner"]), ("qualification", self.user), "a new opportunity")
        check_equal(g.one("OpportunityService/GetOpportunity", {"name": self.opportunity}), made, "Get")
        check_equal(g.one("LeadService/GetLead", {"name": self.lead})["stage"], "STAGE_OPPORTUNITY", "stage")
        self.writes_nothing("QualificationService/DisqualifyLead", {"name": self.lead, "reason": "no"},
                            "FAILED_PRECONDITION", "ILLEGAL_TRANSITION")
        pipeline = g.one("OpportunityService/ListPipelines")["pipelines"][0]
        g.one("OpportunityService/GetPipeline", {"name": pipeline["name"]})
        move = {"name": self.opportunity, "stage": "negotiation"}
        refusal = self.writes_nothing("OpportunityService/MoveOpportunity", move, "FAILED_PRECONDITION",
                                      "STAGE_REQUIREMENTS")
        check_equal(len(refusal.violations), 2, f"every missing field is listed: {refusal.violations}")
        self.writes_nothing("OpportunityService/MoveOpportunity", {**move, "stage": "heaven"},
                            "INVALID_ARGUMENT", "INVALID_FIELD", ["stage"])
        changed = g.one("OpportunityService/UpdateOpportunity", {
            "opportunity": {"name": self.opportunity, "amount": {"currencyCode": "EUR", "units": "15000"},
                            "expectedCloseTime": "2035-07-01T00:00:00Z", "etag": made["etag"]},
            "updateMask": mask("amount", "expected_close_time")})
        self.writes_nothing("OpportunityService/UpdateOpportunity", {
            "opportunity": {"name": self.opportunity, "nextStep": "call", "etag": made["etag"]},
            "updateMask": mask("next_step")}, "ABORTED", "ETAG_MISMATCH")
        moved = g.one("OpportunityService/MoveOpportunity", {**move, "etag": changed["etag"]})
        check_equal((moved["stage"], moved["probabilityPercent"]), ("negotiation", "60"), "moved")
        listed = g.one("OpportunityService/ListOpportunities", {
            "filter": f'lead = "{self.lead}" AND state = OPEN', "orderBy": "amount.units desc"})
        check_equal(len(listed["opportunities"]), 1, "ListOpportunities")
        for order in ("create_time", "update_time desc", "open_time", "expected_close_time desc"):
            g.one("OpportunityService/ListOpportunities", {"orderBy": order})
        close = {"name": self.opportunity, "outcome": "CLOSE_OUTCOME_LOST"}
        self.writes_nothing("OpportunityService/CloseOpportunity", close, "INVALID_ARGUMENT",
                            "INVALID_FIELD", ["reason"])
        lost = g.one("OpportunityService/CloseOpportunity", {**close, "reason": "price",
                                                             "winningCompetitor": "Them"})
        check_equal(lost["state"], "OPPORTUNITY_STATE_LOST", "lost")
        check_equal(g.one("LeadService/GetLead", {"name": self.lead})["stage"], "STAGE_PROSPECT", "stage")
        self.writes_nothing("OpportunityService/CloseOpportunity", {**close, "reason": "price"},
                            "FAILED_PRECONDITION", "ALREADY_CLOSED")
        again = g.one("OpportunityService/ReopenOpportunity", {"name": self.opportunity, "reason": "called"})
        check_equal(again["state"], "OPPORTUNITY_STATE_OPEN", "reopened")
        self.writes_nothing("OpportunityService/ReopenOpportunity", {"name": self.opportunity, "reason": "x"},
                            "FAILED_PRECONDITION", "NOT_CLOSED")
        won = g.one("OpportunityService/CloseOpportunity", {"name": self.opportunity,
                                                            "outcome": "CLOSE_OUTCOME_WON"})
        check_equal(won["probabilityPercent"], "100", "won")
        check_equal(g.one("LeadService/GetLead", {"name": self.lead})["stage"], "STAGE_CUSTOMER", "stage")
        transitions = g.one("LeadService/ListLeadTransitions", {"parent": self.lead})["transitions"]
        check_equal([t["to"].removeprefix("STAGE_") for t in transitions],
                    ["LEAD", "PROSPECT", "OPPORTUNITY", "PROSPECT", "OPPORTUNITY", "CUSTOMER"],
                    "the whole history")
        moment = transitions[2]["recordTime"]
        then = g.one("LeadService/GetLead", {"name": self.lead, "readTime": moment})
        check_equal(then["stage"], "STAGE_OPPORTUNITY", "the lead as it was recorded then")

    def imports(self):
        g = self.g
        name = f"imports/{uuid.uuid4()}"
        rows = [{"row": i, "capture": {
            "lead": {"person": {"emails": [{"address": f"import{i}@example.com"}]}},
            "touchpoint": {"kind": "TOUCHPOINT_KIND_FORM", "source": "list", "externalId": str(i),
                           "occurTime": "2024-01-01T00:00:00Z"}}} for i in (1, 2)]
        bad = {"row": 3, "capture": {"lead": {"person": {"emails": [{"address": "bad"}]}}}}
        dry = g.one("ImportService/ImportRows", {"name": name, "rows": rows, "validateOnly": True,
                                                 "returnResults": True})
        check_equal(len(dry["results"]), 2, "a dry run judges every row")
        g.refused("ImportService/GetImport", {"name": name}, "NOT_FOUND")
        answer = g.one("ImportService/ImportRows", {"name": name, "rows": rows + [bad], "rowsTotal": "5"})
        check_equal((answer["import"]["rowsDone"], answer["import"]["rowsFailed"],
                     answer["import"]["committedRow"]), ("2", "1", "3"), "counts")
        check_equal([(r["row"], r["status"]["code"]) for r in answer["results"]], [("3", 3)], "results")
        chunks = [{"name": name, "rows": [{**rows[0], "row": 4}], "returnResults": True},
                  {"name": name, "rows": [{"row": 5, "touchpoint": {
                      "lead": {"externalId": {"system": "web", "id": "w-1"}},
                      "touchpoint": {"kind": "TOUCHPOINT_KIND_NOTE", "body": "met again"}}}],
                   "complete": True, "returnResults": True}]
        answers = g.call("ImportService/ImportLeads", *chunks)
        check_equal([a["results"][0]["outcome"] for a in answers],
                    ["IMPORT_ROW_OUTCOME_UNCHANGED", "IMPORT_ROW_OUTCOME_DONE"], "one answer a chunk")
        done = g.one("ImportService/GetImport", {"name": name})
        check_equal(done["state"], "IMPORT_STATE_COMPLETED", "state")
        self.writes_nothing("ImportService/ImportRows", {"name": name, "rows": [{**rows[0], "row": 6}]},
                            "FAILED_PRECONDITION", "IMPORT_ENDED")
        self.writes_nothing("ImportService/ImportRows",
                            {"name": f"imports/{uuid.uuid4()}", "rows": [rows[1], rows[0]]},
                            "INVALID_ARGUMENT", "INVALID_FIELD", ["rows[1].row"])
        check_equal(len(g.one("ImportService/ListImports")["imports"]), 1, "imports")
        exported = [lead for part in g.call("ImportService/ExportLeads", {"filter": "stage = LEAD"})
                    for lead in part["leads"]]
        check(len(exported) >= 4 and all(lead["stage"] == "STAGE_LEAD" for lead in exported), "export")
        self.operation = done["operation"]

    def operations(self):
        g = self.g
        check_equal(g.one("OperationsService/GetOperation", {"name": self.operation})["state"],
                    "OPERATION_STATE_SUCCEEDED", "operation")
        check_equal(len(g.one("OperationsService/ListOperations",
                              {"filter": "state = SUCCEEDED AND kind = \"import\""})["operations"]), 1,
                    "operations")
        check_equal(g.call("OperationsService/WatchOperation", {"name": self.operation})[-1]["state"],
                    "OPERATION_STATE_SUCCEEDED", "a watch of what has ended ends")
        running = f"imports/{uuid.uuid4()}"
        answer = g.one("ImportService/ImportRows", {"name": running, "rows": [{"row": 1, "capture": {
            "lead": {"person": {"emails": [{"address": "cancel@example.com"}]}}}}]})
        cancelled = g.one("OperationsService/CancelOperation", {"name": answer["import"]["operation"]})
        check_equal(cancelled["state"], "OPERATION_STATE_CANCELLED", "cancelled")
        self.writes_nothing("ImportService/ImportRows", {"name": running, "rows": [{"row": 2, "capture": {
            "lead": {"person": {"emails": [{"address": "late@example.com"}]}}}}]},
            "FAILED_PRECONDITION", "IMPORT_ENDED")
        g.refused("OperationsService/GetOperation", {"name": f"operations/{uuid.uuid4()}"}, "NOT_FOUND")

    def feed(self):
        g = self.g
        every = [m["event"] for m in g.call("EventService/Watch", {"untilNow": True}) if "event" in m]
        times = [event["recordTime"] for event in every]
        check_equal(len(set(times)), len(times), "record_time never stands still")
        half = every[len(every) // 2]
        rest = [m["event"]["number"] for m in
                g.call("EventService/Watch", {"resumeToken": half["resumeToken"], "untilNow": True})
                if "event" in m]
        check_equal(rest, [e["number"] for e in every[len(every) // 2 + 1:]], "resumed after the token")
        transitions = [m["event"]["type"] for m in
                       g.call("EventService/Watch", {"untilNow": True, "filter": "type = LEAD_TRANSITIONED"})
                       if "event" in m]
        check_equal(set(transitions), {"EVENT_TYPE_LEAD_TRANSITIONED"}, "a filtered feed")
        forged = half["resumeToken"][:-2] + ("AA" if half["resumeToken"][-2:] != "AA" else "BB")
        done = g.raw("-format-error", "-d", json.dumps({"resumeToken": forged, "untilNow": True}),
                     g.server.address, "relais.v1.EventService/Watch")
        check(json.loads(done.err)["code"] in (3, 11), f"a forged token is refused: {done.err}")
        g.refused("EventService/Watch", {"afterNumber": str(10**9), "untilNow": True}, "OUT_OF_RANGE",
                  "HISTORY_CHANGED")
        g.refused("EventService/Watch", {"afterNumber": "-2"}, "INVALID_ARGUMENT", "INVALID_FIELD",
                  ["after_number"])

    def funnel(self):
        g = self.g
        funnel = g.one("InsightService/GetFunnel", {"breakdown": "FUNNEL_BREAKDOWN_CHANNEL"})
        check_equal(funnel["total"]["reachedCustomer"], "1", "customers")
        check_equal(sum(int(r["leads"]) for r in funnel["rows"]), int(funnel["total"]["leads"]), "leads")
        g.refused("InsightService/GetFunnel", {"breakdown": 9}, "INVALID_ARGUMENT", "INVALID_FIELD",
                  ["breakdown"])

    def prospect(self, email):
        g = self.g
        lead = g.one("LeadService/CaptureLead", {"lead": {
            "market": "MARKET_B2B", "person": {"emails": [{"address": email}]}}})["lead"]["name"]
        g.one("QualificationService/AssessLead", {"parent": lead, "assessment": {"answers": BANT}})
        g.one("QualificationService/QualifyLead", {"name": lead})
        return lead

    def calendars(self):
        g = self.g
        week = [{"day": f"WEEKDAY_{day}", "start": "09:00", "end": "17:00"}
                for day in ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY")]
        office = {"displayName": "Office", "timeZone": "Europe/Paris", "workingHours": week}
        calendar = g.one("DirectoryService/CreateCalendar", {"calendar": office})
        check_equal(g.one("DirectoryService/GetCalendar", {"name": calendar["name"]}), calendar,
                    "GetCalendar")
        self.writes_nothing("DirectoryService/CreateCalendar", {
            "calendar": dict(office, workingHours=week + week[:1], timeZone="Europe/Atlantis")},
            "INVALID_ARGUMENT", "INVALID_FIELD", ["calendar.time_zone"])
        changed = g.one("DirectoryService/UpdateCalendar", {
            "calendar": {"name": calendar["name"], "holidays": [{"date": "2026-12-25"}]},
            "updateMask": mask("holidays")})
        check_equal(len(changed["holidays"]), 1, "UpdateCalendar")
        self.writes_nothing("DirectoryService/UpdateCalendar", {
            "calendar": {"name": calendar["name"], "etag": calendar["etag"], "displayName": "x"}},
            "ABORTED", "ETAG_MISMATCH")
        check_equal(len(g.one("DirectoryService/ListCalendars")["calendars"]), 1, "calendars")
        check(g.one("DirectoryService/ArchiveCalendar", {"name": calendar["name"]})["archived"],
              "ArchiveCalendar")
        self.writes_nothing("DirectoryService/UpdateTeam", {
            "team": {"name": self.team, "calendar": calendar["name"]}},
            "FAILED_PRECONDITION", "CALENDAR_ARCHIVED")

    def handoffs(self):
        g = self.g
        lead = self.prospect("handoff@example.com")
        self.writes_nothing("QualificationService/CreateHandoff", {"handoff": {"lead": lead}},
                            "FAILED_PRECONDITION", "NO_ROUTE")
        handoff = g.one("QualificationService/CreateHandoff", {
            "handoff": {"lead": lead, "owner": self.user, "reason": "asked for a demo"}})
        self.writes_nothing("QualificationService/CreateHandoff", {
            "handoff": {"lead": lead, "owner": self.user}}, "FAILED_PRECONDITION", "HANDOFF_PENDING")
        queue = g.one("QualificationService/ListHandoffs", {"filter": "state = PENDING"})["handoffs"]
        check_equal([h["name"] for h in queue], [handoff["name"]], "the queue")
        self.writes_nothing("QualificationService/AcceptHandoff", {
            "name": handoff["name"], "etag": "stale"}, "ABORTED", "ETAG_MISMATCH")
        accepted = g.one("QualificationService/AcceptHandoff", {"name": handoff["name"]})
        check_equal(accepted["state"], "HANDOFF_STATE_ACCEPTED", "accepted")
        check_equal(g.one("QualificationService/GetHandoff", {"name": handoff["name"]}), accepted,
                    "GetHandoff")
        self.writes_nothing("QualificationService/AcceptHandoff", {"name": handoff["name"]},
                            "FAILED_PRECONDITION", "HANDOFF_CLOSED")

        other = self.prospect("rejected@example.com")
        handoff = g.one("QualificationService/CreateHandoff", {
            "handoff": {"lead": other, "team": self.team}})
        check_equal(handoff["owner"], self.user, "the one member of the team")
        self.writes_nothing("QualificationService/ReassignHandoff", {
            "name": handoff["name"], "owner": self.archived}, "FAILED_PRECONDITION", "USER_ARCHIVED")
        moved = g.one("QualificationService/ReassignHandoff", {
            "name": handoff["name"], "owner": self.user})
        check_equal(moved["reassignmentCount"], "1", "reassigned")
        self.writes_nothing("QualificationService/RejectHandoff", {"name": handoff["name"]},
                            "INVALID_ARGUMENT", "INVALID_FIELD", ["reason"])
        g.one("QualificationService/RejectHandoff", {"name": handoff["name"], "reason": "too small"})
        check_equal(g.one("LeadService/GetLead", {"name": other})["stage"], "STAGE_LEAD", "returned")

    def routing(self):
        g = self.g
        rule = {"displayName": "Everybody", "team": self.team, "strategy": "ROUTING_STRATEGY_LEAST_LOADED"}
        made = g.one("QualificationService/CreateRoutingRule", {
            "routingRule": rule, "routingRuleId": "everybody"})
        self.writes_nothing("QualificationService/CreateRoutingRule", {
            "routingRule": rule, "routingRuleId": "everybody"}, "ALREADY_EXISTS", "ALREADY_EXISTS")
        self.writes_nothing("QualificationService/CreateRoutingRule", {
            "routingRule": dict(rule, filter="score >"), "routingRuleId": "other"},
            "INVALID_ARGUMENT", "INVALID_FILTER")
        assigned = g.one("LeadService/BatchAssignLeads", {
            "requests": [{"name": self.second, "byRules": True}, {"name": NOBODY, "byRules": True}]})
        check_equal([r.get("owner") for r in assigned["results"]], [self.user, None], "owners")
        changed = g.one("QualificationService/UpdateRoutingRule", {
            "routingRule": {"name": made["name"], "position": 5}, "updateMask": mask("position")})
        check_equal(changed["revision"], "2", "the next revision")
        check_equal(g.one("QualificationService/GetRoutingRule", {"name": made["name"]}), changed,
                    "GetRoutingRule")
        g.one("QualificationService/ArchiveRoutingRule", {"name": made["name"]})
        check(g.one("QualificationService/ListRoutingRules")["routingRules"][0]["archived"], "archived")
        self.writes_nothing("LeadService/AssignLead", {"name": self.second, "byRules": True},
                            "FAILED_PRECONDITION", "NO_ROUTE")
        policies = g.one("QualificationService/ListHandoffPolicies")["handoffPolicies"]
        check_equal([p["name"] for p in policies], ["handoffPolicies/b2b", "handoffPolicies/b2c"],
                    "policies")
        changed = g.one("QualificationService/UpdateHandoffPolicy", {
            "handoffPolicy": {"name": "handoffPolicies/b2b", "responseMinutes": 30},
            "updateMask": mask("response_minutes")})
        check_equal(g.one("QualificationService/GetHandoffPolicy", {"name": "handoffPolicies/b2b"}),
                    changed, "GetHandoffPolicy")
        self.writes_nothing("QualificationService/UpdateHandoffPolicy", {
            "handoffPolicy": {"name": "handoffPolicies/b2b", "maxEscalations": 99}},
            "INVALID_ARGUMENT", "INVALID_FIELD", ["handoff_policy.max_escalations"])

    def segments(self):
        g = self.g
        made = g.one("QualificationService/CreateSegment", {
            "segment": {"displayName": "Everybody", "filter": "score >= 0"}})
        g.refused("QualificationService/CreateSegment", {
            "segment": {"displayName": "Nobody", "filter": "score >"}}, "INVALID_ARGUMENT",
            "INVALID_FILTER")
        for _ in range(100):
            segment = g.one("QualificationService/GetSegment", {"name": made["name"]})
            if segment["state"] == "SEGMENT_STATE_READY":
                break
            time.sleep(0.1)
        check_equal(segment["state"], "SEGMENT_STATE_READY", "state")
        leads = g.one("QualificationService/ListSegmentLeads", {"parent": made["name"],
                                                                "pageSize": 1000})["leads"]
        counts = g.one("QualificationService/CountSegments")["counts"]
        check_equal([(c["segment"], int(c["leads"])) for c in counts], [(made["name"], len(leads))],
                    "counts")
        g.refused("QualificationService/UpdateSegment", {
            "segment": {"name": made["name"], "etag": "stale", "displayName": "x"}}, "ABORTED",
            "ETAG_MISMATCH")
        g.one("QualificationService/UpdateSegment", {
            "segment": {"name": made["name"], "displayName": "All"}, "updateMask": mask("display_name")})
        check_equal(len(g.one("QualificationService/ListSegments")["segments"]), 1, "segments")
        out = g.one("QualificationService/ArchiveSegment", {"name": made["name"]})
        check_equal(out["state"], "SEGMENT_STATE_ARCHIVED", "archived")

    def everything_was_called(self):
        g = self.g
        for service in SERVICES:
            methods = g.raw(g.server.address, "list", f"relais.v1.{service}").out.split()
            missing = [m for m in methods if m.removeprefix("relais.v1.").replace(
                f"{service}.", f"{service}/") not in CALLED]
            check(methods, f"{service} has no methods")
            check_equal(missing, [], f"calls of {service} without a test")

    def run(self, engine):
        for story in (self.reflection, self.health, self.directory, self.capture, self.bad_captures,
                      self.leads, self.search, self.duplicates,
                      self.touchpoints, self.consents, self.qualification,
                      self.scores, self.opportunities, self.imports, self.operations, self.feed,
                      self.funnel, self.calendars, self.handoffs, self.routing, self.segments, self.everything_was_called):
            with self.suite.case(f"{engine}: {story.__name__}"):
                story()


def main():
    options = arguments(__doc__)
    suite = Suite()
    for name in options.engine:
        CALLED.clear()
        with engine_of(name) as engine, Server(options.relaisd, engine.database()) as server:
            Story(suite, server).run(name)
            with suite.case(f"{name}: the server stops in good order"):
                check_equal(server.stop(), 0, "exit code")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
