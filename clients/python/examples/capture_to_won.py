"""One lead from the first click to the signature.

    python capture_to_won.py [SERVER]
"""

import sys
import uuid

import relais
from relais import v1


def main() -> None:
    with relais.connect(sys.argv[1] if len(sys.argv) > 1 else None) as client:
        # A form on the web site: the person is found by e-mail, or made.
        captured = client.leads.capture_lead(v1.CaptureLeadRequest(
            lead=v1.Lead(
                person=v1.Person(given_name="Jeanne", family_name="Petit",
                                 emails=[v1.Email(address=f"jeanne.{uuid.uuid4().hex[:8]}@example.com")]),
                organization=v1.Organization(display_name="Atelier Petit"),
                acquisition=v1.Acquisition(channel=v1.CHANNEL_WEBSITE_FORM, source="example")),
            touchpoint=v1.Touchpoint(kind=v1.TOUCHPOINT_KIND_DEMO_REQUEST)))
        lead = captured.lead.name
        print(f"{lead} is {v1.Stage.Name(captured.lead.stage)}, score {captured.lead.score}")

        # Too early: the refusal says everything that is missing.
        try:
            client.qualification.qualify_lead(v1.QualifyLeadRequest(name=lead))
        except relais.FailedPrecondition as refusal:
            print(refusal.reason, [missing.subject for missing in refusal.preconditions])

        client.qualification.assess_lead(v1.AssessLeadRequest(parent=lead, assessment=v1.Assessment(
            answers=[v1.CriterionAnswer(criterion=criterion, state=v1.CRITERION_STATE_MET)
                     for criterion in ("budget", "authority", "need", "timeline")])))
        prospect = client.qualification.qualify_lead(v1.QualifyLeadRequest(name=lead))
        print(f"{lead} is {v1.Stage.Name(prospect.stage)}")

        opportunity = client.opportunities.create_opportunity(v1.CreateOpportunityRequest(
            opportunity=v1.Opportunity(lead=lead, display_name="Rollout",
                                       intention="asked for an offer by Friday")))
        client.opportunities.close_opportunity(v1.CloseOpportunityRequest(
            name=opportunity.name, outcome=v1.CLOSE_OUTCOME_WON, reason="best offer"))

        customer = client.leads.get_lead(v1.GetLeadRequest(name=lead))
        print(f"{lead} is {v1.Stage.Name(customer.stage)}")
        for event in client.watch(v1.WatchRequest(filter=f'lead = "{lead}"', until_now=True)):
            print(f"  {event.number} {v1.EventType.Name(event.type)} by {event.trigger}")


if __name__ == "__main__":
    main()
