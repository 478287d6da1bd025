#!/usr/bin/env python3
"""Counts the funnel of the two real data sets from their files, with nothing of Relais in it.

    count_funnel.py olist|crm FOLDER

prints what `relais funnel --json` should say after the set was imported: {"total": row, "by_channel":
{key: row}, "by_source": ..., "by_month": ...}. A row is a dict of counts and a cycle in calendar days
(count, median, mean as an exact fraction [sum, count], nearest-rank p90).

The lifecycle is written down here a second time on purpose: a lead with an open opportunity is
OPPORTUNITY; without one it is CUSTOMER if any was won, else PROSPECT; without any it is LEAD.
"""

import collections
import csv
import datetime
import json
import pathlib
import statistics
import sys

CRM_DATA_END = datetime.date(2017, 12, 31)
OLIST_CHANNELS = {
    "organic_search": "SEO",
    "paid_search": "PAID_SEARCH",
    "social": "SOCIAL",
    "direct_traffic": "DIRECT",
    "email": "EMAIL",
    "referral": "REFERRAL",
    "display": "DISPLAY",
    "other": "OTHER",
    "other_publicities": "OTHER",
    "unknown": "UNKNOWN",
    "": "",
}


class Lead:
    def __init__(self, first_touch, channel, source):
        self.first_touch = first_touch
        self.channel = channel
        self.source = source
        self.stage = "LEAD"
        self.reached = set()
        self.open = self.won = self.lost = 0
        self.first_win = None

    def enter(self, stage):
        self.stage = stage
        self.reached.add(stage)

    def qualify(self):
        if self.stage == "LEAD":
            self.enter("PROSPECT")

    def open_opportunity(self):
        assert self.stage != "LEAD"
        self.open += 1
        if self.stage != "OPPORTUNITY":
            self.enter("OPPORTUNITY")

    def close_opportunity(self, won, day):
        assert self.open > 0
        self.open -= 1
        if won:
            self.won += 1
            self.first_win = min(day, self.first_win or day)
        else:
            self.lost += 1
        if self.open == 0:
            self.enter("CUSTOMER" if self.won else "PROSPECT")


def table(path):
    with open(path, newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


def day(text):
    return datetime.date.fromisoformat(text[:10])


def olist(folder):
    leads = {}
    for line in table(folder / "olist_marketing_qualified_leads_dataset.csv"):
        assert line["mql_id"] not in leads
        leads[line["mql_id"]] = Lead(
            day(line["first_contact_date"]), OLIST_CHANNELS[line["origin"]], line["origin"]
        )
    for line in table(folder / "olist_closed_deals_dataset.csv"):
        lead = leads[line["mql_id"]]
        lead.qualify()
        lead.open_opportunity()
        lead.close_opportunity(True, day(line["won_date"]))
    return list(leads.values())


def crm(folder):
    regions = {line["sales_agent"]: line["regional_office"] for line in table(folder / "sales_teams.csv")}
    leads = {}
    history = []  # (day, line, step, what happens)
    for number, line in enumerate(table(folder / "sales_pipeline.csv")):
        key = ("account", line["account"]) if line["account"] else ("line", line["opportunity_id"])
        begun = day(line["engage_date"]) if line["engage_date"] else CRM_DATA_END
        if key not in leads:
            leads[key] = Lead(begun, "IMPORT", regions[line["sales_agent"]])
        lead = leads[key]
        history.append((begun, number, 0, lead.qualify))
        history.append((begun, number, 1, lead.open_opportunity))
        if line["deal_stage"] in ("Won", "Lost"):
            ended = day(line["close_date"])
            won = line["deal_stage"] == "Won"
            history.append((ended, number, 2, lambda l=lead, w=won, d=ended: l.close_opportunity(w, d)))
        else:
            assert line["deal_stage"] in ("Prospecting", "Engaging") and not line["close_date"]
    for _, _, _, happen in sorted(history, key=lambda step: step[:3]):
        happen()
    return list(leads.values())


def row(leads):
    days = sorted((lead.first_win - lead.first_touch).days for lead in leads if lead.first_win)
    stages = collections.Counter(lead.stage for lead in leads)
    return {
        "leads": len(leads),
        "by_stage": dict(sorted(stages.items())),
        "reached_prospect": sum("PROSPECT" in lead.reached for lead in leads),
        "reached_opportunity": sum("OPPORTUNITY" in lead.reached for lead in leads),
        "reached_customer": sum("CUSTOMER" in lead.reached for lead in leads),
        "cycle": {
            "count": len(days),
            "median": statistics.median(days) if days else None,
            "mean": [sum(days), len(days)],
            # Nearest rank: the smallest value that at least 90 % do not exceed.
            "p90": days[-(-90 * len(days) // 100) - 1] if days else None,
            "negative": sum(d < 0 for d in days),
        },
        "open": sum(lead.open for lead in leads),
        "won": sum(lead.won for lead in leads),
        "lost": sum(lead.lost for lead in leads),
    }


def grouped(leads, key):
    groups = collections.defaultdict(list)
    for lead in leads:
        groups[key(lead)].append(lead)
    return {name: row(members) for name, members in sorted(groups.items())}


def count(name, folder):
    leads = {"olist": olist, "crm": crm}[name](pathlib.Path(folder))
    return {
        "total": row(leads),
        "by_channel": grouped(leads, lambda lead: lead.channel),
        "by_source": grouped(leads, lambda lead: lead.source),
        "by_month": grouped(leads, lambda lead: lead.first_touch.strftime("%Y-%m")),
    }


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in ("olist", "crm"):
        print(__doc__, file=sys.stderr)
        return 2
    json.dump(count(*arguments), sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
