#!/usr/bin/env python3
"""Invented people for the demonstration: French and English, a realistic funnel, always the same.

Writes leads.csv and deals.csv with their mapping files into the folder
that is given. Every address is under example.com or example.fr, which belong to nobody.
"""

import csv
import datetime
import pathlib
import random
import sys

SEED = 20260105
LEADS = 320
FIRST_DAY = datetime.date(2026, 1, 5)
DAYS = 180
GIVEN = ["Camille", "Léa", "Manon", "Chloé", "Hugo", "Louis", "Jules", "Inès", "Olivia", "Amelia",
         "George", "Arthur", "Isla", "Harry", "Freya", "Noah"]
FAMILY = ["Moreau", "Lefèvre", "Garnier", "Rousseau", "Fontaine", "Chevalier", "Taylor", "Hughes",
          "Edwards", "Walker", "Turner", "Bennett"]
COMPANIES = ["Atelier du Port", "Brasserie des Alpes", "Maison Verrier", "Northfield Tools",
             "Harbour Logistics", "Greenbank Foods", "Papeterie Lumière", "Oakridge Clinics"]
# Channel, share of the leads, chance to become a prospect; figures are invented.
CHANNELS = [("SEO", 26, 0.34), ("PAID_SEARCH", 20, 0.24), ("WEBINAR", 14, 0.46),
            ("CONTENT_DOWNLOAD", 14, 0.30), ("REFERRAL", 8, 0.62), ("EVENT", 8, 0.42),
            ("EMAIL", 10, 0.28)]
CHANCE_OF_INTENT = 0.62
CHANCE_OF_WIN = 0.44

LEADS_MAP = """constants: {system: demo}
unique: "${key}"
rows:
  - row: capture
    fields:
      lead:
        market: B2B
        person:
          given_name: "${given_name}"
          family_name: "${family_name}"
          country: "${country}"
          emails: [{address: "${email}"}]
        organization: {display_name: "${company}", headcount: "${headcount}"}
        acquisition: {channel: "${channel}", source: "${source}"}
        external_ids: [{system: "${const.system}", id: "${key}"}]
      touchpoint:
        kind: "${kind}"
        channel: "${channel}"
        occur_time: "${day|required}"
        source: "${const.system}"
        external_id: "first-${key}"
"""

DEALS_MAP = """constants: {system: demo, deals: demo-deal}
unique: "${key}"
rows:
  - row: qualification
    fields:
      lead: {external_id: {system: "${const.system}", id: "${key}"}}
      assessment:
        answers:
          - {criterion: budget, state: MET, evidence: "told on the telephone"}
          - {criterion: authority, state: MET, evidence: "told on the telephone"}
          - {criterion: need, state: MET, evidence: "told on the telephone"}
          - {criterion: timeline, state: MET, evidence: "told on the telephone"}
        source: IMPORT
        occur_time: "${qualified}"
      qualify: true
      occur_time: "${qualified}"
  - row: opportunity
    when: "intent is not empty"
    fields:
      lead: {external_id: {system: "${const.system}", id: "${key}"}}
      opportunity:
        display_name: "${company}"
        intention: "asked for an offer"
        amount: {amount: "${amount}", currency: "${currency}"}
        external_ids: [{system: "${const.deals}", id: "${key}"}]
      occur_time: "${intent}"
  - row: close
    when: "closed is not empty"
    fields:
      opportunity: {system: "${const.deals}", id: "${key}"}
      outcome: "${outcome}"
      reason: "${reason}"
      occur_time: "${closed}"
"""


def main(folder):
    choose = random.Random(SEED)
    leads, deals = [], []
    last_day = FIRST_DAY + datetime.timedelta(days=DAYS)
    for number in range(1, LEADS + 1):
        given, family = choose.choice(GIVEN), choose.choice(FAMILY)
        channel, _, qualifies = choose.choices(CHANNELS, [share for _, share, _ in CHANNELS])[0]
        french = choose.random() < 0.6
        first = FIRST_DAY + datetime.timedelta(days=choose.randrange(DAYS))
        company = choose.choice(COMPANIES)
        leads.append({
            "key": f"D{number:04d}", "given_name": given, "family_name": family,
            "country": "FR" if french else "GB",
            "email": f"contact{number}@example.{'fr' if french else 'com'}",
            "company": company, "headcount": choose.choice([8, 25, 60, 140, 400, 1200]),
            "channel": channel, "source": channel.lower(),
            "kind": {"WEBINAR": "WEBINAR_ATTENDED", "EVENT": "EVENT_ATTENDED",
                     "CONTENT_DOWNLOAD": "DOWNLOAD_WHITE_PAPER"}.get(channel, "FORM"),
            "day": first.isoformat(),
        })
        if choose.random() >= qualifies:
            continue
        qualified = first + datetime.timedelta(days=choose.randint(1, 20))
        deal = {"key": f"D{number:04d}", "company": company, "qualified": qualified.isoformat(),
                "intent": "", "closed": "", "outcome": "", "reason": "",
                "amount": choose.randrange(2, 60) * 500, "currency": "EUR" if french else "GBP"}
        if choose.random() < CHANCE_OF_INTENT:
            intent = qualified + datetime.timedelta(days=choose.randint(1, 25))
            deal["intent"] = intent.isoformat()
            closed = intent + datetime.timedelta(days=choose.randint(3, 60))
            if closed <= last_day:
                won = choose.random() < CHANCE_OF_WIN
                deal.update(closed=closed.isoformat(), outcome="WON" if won else "LOST",
                            reason="offer signed" if won else choose.choice(["price", "no answer"]))
        deals.append(deal)
    for name, rows, mapping in (("leads", leads, LEADS_MAP), ("deals", deals, DEALS_MAP)):
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        (folder / f"{name}.yaml").write_text(mapping, encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
