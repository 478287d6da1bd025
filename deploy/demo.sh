#!/usr/bin/env bash
# One lead's journey through the public API, on the binaries that `deploy/dev build` made: starts
# relaisd on an embedded SQLite file with no configuration, shows each request and answer (refusals
# included), fills in a small invented base, prints the funnel, and serves on until it is stopped.
# `--once` ends after the journey.
set -euo pipefail
cd "$(dirname "$0")/.."

once=0
[ "${1:-}" = --once ] && once=1
bin="$PWD/build/release"
PATH="$PWD/.cache/bin:$PATH"
folder="$(mktemp -d)"
server=
finish() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

: >"$folder/out"
"$bin/server/relaisd" --listen="127.0.0.1:${RELAIS_DEMO_PORT:-0}" --database="sqlite:$folder/relais.db" \
  --log_level=warn >"$folder/out" &
server=$!
for _ in $(seq 200); do
  address="$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/\1/p' "$folder/out" | head -n 1)"
  [ -n "$address" ] && break
  kill -0 "$server" 2>/dev/null || { echo "the server did not start" >&2; exit 1; }
  sleep 0.1
done
[ -n "$address" ] || { echo "the server did not say where it listens" >&2; exit 1; }
echo "relaisd serves $address; its data is in $folder"

answer=
# call SERVICE/METHOD JSON OK|REFUSED: shows a call; anything but what was expected ends the demonstration.
call() {
  printf '\n\033[1m> %s\033[0m\n%s\n' "$1" "$2"
  local outcome=OK
  answer="$(grpcurl -plaintext -emit-defaults=false -d "$2" "$address" "relais.v1.$1" 2>&1)" || outcome=REFUSED
  printf '%s\n' "$answer"
  [ "$outcome" = "$3" ] || { echo "expected $3, got $outcome" >&2; exit 1; }
}
field() { jq -r "$1" <<<"$answer"; }
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "A visitor of a webinar leaves her address: a lead is made"
capture='{"lead": {"person": {"given_name": "Camille", "family_name": "Moreau",
  "emails": [{"address": "Camille.Moreau@Exemple.example"}], "country": "FR", "job_title": "Directrice achats"},
  "organization": {"display_name": "Exemple SA", "headcount": 220},
  "acquisition": {"channel": "CHANNEL_WEBINAR", "source": "webinar-mai"}},
  "touchpoint": {"kind": "TOUCHPOINT_KIND_WEBINAR_ATTENDED"},
  "consents": [{"channel": "CONSENT_CHANNEL_EMAIL", "purpose": "CONSENT_PURPOSE_MARKETING", "state": "CONSENT_STATE_GRANTED"}],
  "request_id": "0190aaaa-0000-7000-8000-000000000001"}'
call LeadService/CaptureLead "$capture" OK
lead="$(field .lead.name)"
touchpoint="$(field .touchpoint.name)"

say "The same request again has no second effect; another request under its id is refused"
call LeadService/CaptureLead "$capture" OK
[ "$(field .touchpoint.name)" = "$touchpoint" ] || { echo "the retry was not the same" >&2; exit 1; }
call LeadService/CaptureLead '{"lead": {"person": {"emails": [{"address": "other@exemple.example"}]}},
  "request_id": "0190aaaa-0000-7000-8000-000000000001"}' REFUSED

say "She asks for a demonstration: the score rises, and says why"
call LeadService/RecordTouchpoint "{\"parent\": \"$lead\", \"touchpoint\": {\"kind\": \"TOUCHPOINT_KIND_DEMO_REQUEST\"}}" OK
call QualificationService/ExplainScore "{\"name\": \"$lead\"}" OK

say "A malformed request names every wrong field"
call LeadService/CaptureLead '{"lead": {"person": {"emails": [{"address": "no address"}], "country": "XX"}}}' REFUSED

say "Not qualified yet: the refusal lists what is unmet"
call QualificationService/QualifyLead "{\"name\": \"$lead\"}" REFUSED
call QualificationService/AssessLead "{\"parent\": \"$lead\", \"assessment\": {\"answers\": [
  {\"criterion\": \"budget\", \"state\": \"CRITERION_STATE_MET\", \"budget\": {\"minimum\": {\"currency_code\": \"EUR\", \"units\": 20000}}},
  {\"criterion\": \"authority\", \"state\": \"CRITERION_STATE_MET\", \"authority_role\": \"AUTHORITY_ROLE_DECISION_MAKER\"},
  {\"criterion\": \"need\", \"state\": \"CRITERION_STATE_MET\", \"need\": \"one list of leads for both teams\", \"need_severity\": \"NEED_SEVERITY_HIGH\"},
  {\"criterion\": \"timeline\", \"state\": \"CRITERION_STATE_MET\"}]}}" OK
call QualificationService/QualifyLead "{\"name\": \"$lead\", \"reason\": \"all four criteria met\"}" OK

say "She wants an offer: an opportunity is opened and negotiated"
call OpportunityService/CreateOpportunity "{\"opportunity\": {\"lead\": \"$lead\", \"display_name\": \"Pilote 50 postes\",
  \"intention\": \"wants an offer for 50 seats by June\"}}" OK
opportunity="$(field .name)"
etag="$(field .etag | sed 's/"/\\"/g')"
call OpportunityService/MoveOpportunity "{\"name\": \"$opportunity\", \"stage\": \"proposal\"}" REFUSED
call OpportunityService/UpdateOpportunity "{\"opportunity\": {\"name\": \"$opportunity\",
  \"amount\": {\"currency_code\": \"EUR\", \"units\": 24000}}}" OK
call OpportunityService/MoveOpportunity "{\"name\": \"$opportunity\", \"stage\": \"proposal\", \"etag\": \"$etag\"}" REFUSED
call OpportunityService/MoveOpportunity "{\"name\": \"$opportunity\", \"stage\": \"proposal\"}" OK

say "Signed: the lead is a customer"
call OpportunityService/CloseOpportunity "{\"name\": \"$opportunity\", \"outcome\": \"CLOSE_OUTCOME_WON\"}" OK
call LeadService/GetLead "{\"name\": \"$lead\"}" OK
[ "$(field .stage)" = STAGE_CUSTOMER ] || { echo "the lead is not a customer" >&2; exit 1; }
call QualificationService/DisqualifyLead "{\"name\": \"$lead\", \"reason\": \"by mistake\"}" REFUSED
call LeadService/ListLeadTransitions "{\"parent\": \"$lead\"}" OK

say "A base of invented people, through the import calls, and its funnel"
python3 deploy/demo_data.py "$folder"
export RELAIS_SERVER="$address"
"$bin/clients/cli/relais" import "$folder/leads.csv" --map "$folder/leads.yaml" --plaintext
"$bin/clients/cli/relais" import "$folder/deals.csv" --map "$folder/deals.yaml" --plaintext
"$bin/clients/cli/relais" funnel --by channel --plaintext

say "relaisd serves $address"
if [ "$once" -eq 0 ]; then
  echo "Try: grpcurl -plaintext $address list     (Ctrl-C ends)"
  wait "$server"
fi
