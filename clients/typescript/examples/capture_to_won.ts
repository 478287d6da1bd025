// One lead from the first click to the signature.
//
//     node capture_to_won.js [SERVER]
import { connect, RelaisError, v1 } from "@relais/client";

const client = connect(process.argv[2] ? { server: process.argv[2] } : {});

// A form on the web site: the person is found by e-mail, or made.
const captured = await client.leads.captureLead({
  lead: {
    person: {
      givenName: "Jeanne", familyName: "Petit",
      emails: [{ address: `jeanne.${crypto.randomUUID().slice(0, 8)}@example.com` }],
    },
    organization: { displayName: "Atelier Petit" },
    acquisition: { channel: v1.Channel.WEBSITE_FORM, source: "example" },
  },
  touchpoint: { kind: v1.TouchpointKind.DEMO_REQUEST },
});
const name = captured.lead!.name;
console.log(`${name} is ${v1.Stage[captured.lead!.stage]}, score ${captured.lead!.score}`);

// Too early: the refusal says everything that is missing.
try {
  await client.qualification.qualifyLead({ name });
} catch (error) {
  if (!(error instanceof RelaisError)) throw error;
  console.log(error.reason, error.preconditions.map((missing) => missing.subject));
}

await client.qualification.assessLead({
  parent: name,
  assessment: {
    answers: ["budget", "authority", "need", "timeline"].map(
      (criterion) => ({ criterion, state: v1.CriterionState.MET })),
  },
});
const prospect = await client.qualification.qualifyLead({ name });
console.log(`${name} is ${v1.Stage[prospect.stage]}`);

const opportunity = await client.opportunities.createOpportunity({
  opportunity: { lead: name, displayName: "Rollout", intention: "asked for an offer by Friday" },
});
await client.opportunities.closeOpportunity({
  name: opportunity.name, outcome: v1.CloseOutcome.WON, reason: "best offer",
});

const customer = await client.leads.getLead({ name });
console.log(`${name} is ${v1.Stage[customer.stage]}`);
for await (const event of client.watch({ filter: `lead = "${name}"`, untilNow: true })) {
  console.log(`  ${event.number} ${v1.EventType[event.type]} by ${event.trigger}`);
}
client.close();
