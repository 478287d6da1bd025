-- The first schema, for SQLite. Same tables and columns as ../postgres/0001_first.sql.
--
-- Integers are declared BIGINT: SOCI cuts what is declared INTEGER to 32 bits. UUIDs and JSON are
-- TEXT. Times are microseconds since 1970 in UTC. Text compares by its bytes.

-- config_version moves whenever something of the configuration is activated; each batch reads it.
-- key_check is derived from the key file that the first server ran with; servers with another one are
-- refused.
CREATE TABLE tenants (
  tenant_id TEXT NOT NULL,
  create_time BIGINT NOT NULL,
  config_version BIGINT NOT NULL,
  key_check TEXT,
  PRIMARY KEY (tenant_id)
);

-- The last event number and time of each tenant; raised by the statement that inserts the events.
CREATE TABLE feed_counters (
  tenant_id TEXT NOT NULL,
  last_number BIGINT NOT NULL,
  last_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id)
);

-- One column for each field of the field table (server/domain/lead.cc); a test compares them.
CREATE TABLE leads (
  tenant_id TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  stage BIGINT,
  market BIGINT,
  person_given_name TEXT,
  person_family_name TEXT,
  person_display_name TEXT,
  person_emails TEXT,
  person_phones TEXT,
  person_job_title TEXT,
  person_language TEXT,
  person_country TEXT,
  person_time_zone TEXT,
  person_postal_address_street TEXT,
  person_postal_address_locality TEXT,
  person_postal_address_region TEXT,
  person_postal_address_postal_code TEXT,
  person_postal_address_country TEXT,
  person_birth_date TEXT,
  organization_display_name TEXT,
  organization_domain TEXT,
  organization_industry TEXT,
  organization_headcount BIGINT,
  organization_annual_revenue_units BIGINT,
  organization_annual_revenue_nanos BIGINT,
  organization_annual_revenue_currency_code TEXT,
  acquisition_channel BIGINT,
  acquisition_source TEXT,
  acquisition_campaign TEXT,
  acquisition_utm_source TEXT,
  acquisition_utm_medium TEXT,
  acquisition_utm_campaign TEXT,
  acquisition_utm_term TEXT,
  acquisition_utm_content TEXT,
  acquisition_click_id TEXT,
  acquisition_landing_page TEXT,
  acquisition_first_touch_time BIGINT,
  needs TEXT,
  maturity BIGINT,
  estimated_value_units BIGINT,
  estimated_value_nanos BIGINT,
  estimated_value_currency_code TEXT,
  score BIGINT NOT NULL,
  fit_score BIGINT NOT NULL,
  engagement_score BIGINT NOT NULL,
  intent_score BIGINT NOT NULL,
  grade TEXT,
  score_band BIGINT,
  score_model TEXT,
  score_state TEXT,
  next_score_time BIGINT,
  owner TEXT,
  consents TEXT,
  consent_times TEXT,
  labels TEXT,
  external_ids TEXT,
  milestones_stage_time BIGINT,
  milestones_prospect_time BIGINT,
  milestones_opportunity_time BIGINT,
  milestones_customer_time BIGINT,
  milestones_disqualified_time BIGINT,
  milestones_marketing_qualified_time BIGINT,
  milestones_handed_off_time BIGINT,
  milestones_accepted_time BIGINT,
  milestones_first_contacted_time BIGINT,
  milestones_recycled_time BIGINT,
  milestones_recycle_count BIGINT NOT NULL,
  milestones_erased_time BIGINT,
  milestones_last_touch_time BIGINT,
  counters_touchpoints BIGINT NOT NULL,
  counters_open_opportunities BIGINT NOT NULL,
  counters_won_opportunities BIGINT NOT NULL,
  counters_lost_opportunities BIGINT NOT NULL,
  disqualify_reason TEXT,
  merged_into TEXT,
  merged_leads TEXT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, lead_id)
);
CREATE INDEX leads_by_create_time ON leads (tenant_id, create_time, lead_id);
CREATE INDEX leads_by_update_time ON leads (tenant_id, update_time, lead_id);
CREATE INDEX leads_by_score ON leads (tenant_id, score, lead_id);
CREATE INDEX leads_by_stage_and_score ON leads (tenant_id, stage, score, lead_id);
CREATE INDEX leads_by_stage_time ON leads (tenant_id, (COALESCE(milestones_stage_time, 0)), lead_id);
CREATE INDEX leads_by_last_touch_time ON leads (tenant_id, (COALESCE(milestones_last_touch_time, 0)), lead_id);
CREATE INDEX leads_by_family_name ON leads (tenant_id, (COALESCE(person_family_name, '')), lead_id);
CREATE INDEX leads_by_owner ON leads (tenant_id, owner, lead_id)
  WHERE owner IS NOT NULL;
CREATE INDEX leads_due_for_score ON leads (tenant_id, next_score_time)
  WHERE next_score_time IS NOT NULL AND merged_into IS NULL;

-- Who owns an e-mail address, a phone number or an external id. kind is IdentityKind.
CREATE TABLE lead_identities (
  tenant_id TEXT NOT NULL,
  kind BIGINT NOT NULL,
  value TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, kind, value),
  FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, lead_id)
) WITHOUT ROWID;
CREATE INDEX lead_identities_by_lead ON lead_identities (tenant_id, lead_id);

-- Append-only; no foreign key to leads, which would cost 15 % of the CPU of a capture.
CREATE TABLE touchpoints (
  tenant_id TEXT NOT NULL,
  touchpoint_id TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  kind BIGINT,
  channel BIGINT,
  occur_time BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  source TEXT,
  external_id TEXT,
  campaign TEXT,
  topic TEXT,
  url TEXT,
  body TEXT,
  value_units BIGINT,
  value_nanos BIGINT,
  value_currency_code TEXT,
  duration_seconds BIGINT,
  properties TEXT,
  actor TEXT,
  PRIMARY KEY (tenant_id, touchpoint_id)
);
CREATE UNIQUE INDEX touchpoints_by_external_id ON touchpoints (tenant_id, source, external_id)
  WHERE external_id IS NOT NULL;
-- NULLs are distinct in a unique index, so those without a source need one of their own.
CREATE UNIQUE INDEX touchpoints_by_external_id_alone ON touchpoints (tenant_id, external_id)
  WHERE external_id IS NOT NULL AND source IS NULL;
CREATE INDEX touchpoints_by_lead ON touchpoints (tenant_id, lead_id, occur_time, touchpoint_id);

CREATE TABLE consents (
  tenant_id TEXT NOT NULL,
  consent_id TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  channel BIGINT,
  purpose BIGINT,
  state BIGINT,
  legal_basis BIGINT,
  wording_version TEXT,
  source TEXT,
  proof TEXT,
  occur_time BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  actor TEXT,
  PRIMARY KEY (tenant_id, consent_id)
);
CREATE INDEX consents_by_lead ON consents (tenant_id, lead_id, occur_time, consent_id);

CREATE TABLE assessments (
  tenant_id TEXT NOT NULL,
  assessment_id TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  answers TEXT,
  source BIGINT,
  author TEXT,
  occur_time BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  policy TEXT,
  PRIMARY KEY (tenant_id, assessment_id)
);
CREATE INDEX assessments_by_lead ON assessments (tenant_id, lead_id, occur_time, assessment_id);

CREATE TABLE opportunities (
  tenant_id TEXT NOT NULL,
  opportunity_id TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  lead TEXT,
  display_name TEXT,
  state BIGINT,
  pipeline TEXT,
  stage TEXT,
  probability_percent BIGINT NOT NULL,
  amount_units BIGINT,
  amount_nanos BIGINT,
  amount_currency_code TEXT,
  line_items TEXT,
  expected_close_time BIGINT,
  requested_delivery_time BIGINT,
  promised_delivery_time BIGINT,
  competitors TEXT,
  contacts TEXT,
  objections TEXT,
  next_step TEXT,
  owner TEXT,
  intention TEXT,
  close_reason TEXT,
  winning_competitor TEXT,
  external_ids TEXT,
  labels TEXT,
  open_time BIGINT NOT NULL,
  stage_time BIGINT NOT NULL,
  close_time BIGINT,
  stage_seconds TEXT,
  reopen_count BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, opportunity_id),
  FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, lead_id)
);
CREATE INDEX opportunities_by_lead ON opportunities (tenant_id, lead_id);
CREATE INDEX opportunities_by_create_time ON opportunities (tenant_id, create_time, opportunity_id);
CREATE INDEX opportunities_by_close_time ON opportunities (tenant_id, state, close_time);
CREATE INDEX opportunities_by_update_time ON opportunities (tenant_id, update_time, opportunity_id);
CREATE INDEX opportunities_by_open_time ON opportunities (tenant_id, open_time, opportunity_id);
CREATE INDEX opportunities_by_expected_close_time ON opportunities (tenant_id, COALESCE(expected_close_time, 0), opportunity_id);
CREATE INDEX opportunities_by_amount ON opportunities (tenant_id, COALESCE(amount_units, 0), opportunity_id);

-- Ids of other systems.
CREATE TABLE opportunity_keys (
  tenant_id TEXT NOT NULL,
  system TEXT NOT NULL,
  external_id TEXT NOT NULL,
  opportunity_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, system, external_id),
  FOREIGN KEY (tenant_id, opportunity_id) REFERENCES opportunities (tenant_id, opportunity_id)
);
CREATE INDEX opportunity_keys_by_opportunity ON opportunity_keys (tenant_id, opportunity_id);

CREATE TABLE users (
  tenant_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT,
  email TEXT,
  teams TEXT,
  time_zone TEXT,
  language TEXT,
  archived BIGINT NOT NULL,
  external_ids TEXT,
  calendar TEXT,
  absences TEXT,
  capacity BIGINT,
  weight BIGINT,
  territories TEXT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE user_keys (
  tenant_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  user_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, kind, value),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id)
);
CREATE INDEX user_keys_by_user ON user_keys (tenant_id, user_id);

CREATE TABLE teams (
  tenant_id TEXT NOT NULL,
  team_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT,
  parent_team TEXT,
  archived BIGINT NOT NULL,
  calendar TEXT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, team_id)
);

CREATE TABLE team_keys (
  tenant_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  team_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, kind, value),
  FOREIGN KEY (tenant_id, team_id) REFERENCES teams (tenant_id, team_id)
);
CREATE INDEX team_keys_by_team ON team_keys (tenant_id, team_id);

CREATE TABLE imports (
  tenant_id TEXT NOT NULL,
  import_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT,
  state BIGINT,
  committed_row BIGINT NOT NULL,
  rows_total BIGINT NOT NULL,
  rows_done BIGINT NOT NULL,
  rows_unchanged BIGINT NOT NULL,
  rows_failed BIGINT NOT NULL,
  operation TEXT,
  actor TEXT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, import_id)
);
CREATE INDEX imports_by_create_time ON imports (tenant_id, create_time, import_id);

CREATE TABLE operations (
  tenant_id TEXT NOT NULL,
  operation_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  kind TEXT,
  state BIGINT,
  target TEXT,
  rows_total BIGINT NOT NULL,
  rows_read BIGINT NOT NULL,
  rows_done BIGINT NOT NULL,
  rows_failed BIGINT NOT NULL,
  cursor TEXT,
  error_code BIGINT NOT NULL,
  error_message TEXT,
  actor TEXT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  end_time BIGINT,
  PRIMARY KEY (tenant_id, operation_id)
);
CREATE INDEX operations_by_create_time ON operations (tenant_id, create_time, operation_id);

-- Configuration: every revision of scoring models, policies and whatever else a tenant sets up
-- (server/domain/configuration.h). A revision that has left DRAFT never changes but for its state.
-- What is ACTIVE counts; tenants.config_version moves with it.
CREATE TABLE config_documents (
  tenant_id TEXT NOT NULL,
  config_document_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  slot TEXT,
  state BIGINT NOT NULL,
  document TEXT,
  author TEXT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  activate_time BIGINT,
  PRIMARY KEY (tenant_id, config_document_id)
);
CREATE UNIQUE INDEX config_documents_by_name ON config_documents (tenant_id, kind, name, version);

-- Working hours and holidays; due times are counted by them.
CREATE TABLE calendars (
  tenant_id TEXT NOT NULL,
  calendar_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT,
  time_zone TEXT,
  working_hours TEXT,
  holidays TEXT,
  archived BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, calendar_id)
);

CREATE TABLE segments (
  tenant_id TEXT NOT NULL,
  segment_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT,
  description TEXT,
  filter TEXT,
  state BIGINT,
  time_dependent BIGINT NOT NULL,
  ready_time BIGINT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, segment_id)
);

-- Who is in a segment, and since when.
CREATE TABLE segment_members (
  tenant_id TEXT NOT NULL,
  segment_id TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  enter_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, segment_id, lead_id)
) WITHOUT ROWID;

-- Open leads of each user, moved by the transaction that moves a lead.
CREATE TABLE user_loads (
  tenant_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  open_leads BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);

-- Whose turn it is, by routing rule: one row a tenant, locked by whoever takes a turn.
CREATE TABLE rotations (
  tenant_id TEXT NOT NULL,
  name TEXT NOT NULL,
  revision BIGINT NOT NULL,
  credits TEXT,
  PRIMARY KEY (tenant_id, name)
);

-- priority orders by score (the highest first), then by due_time.
CREATE TABLE handoffs (
  tenant_id TEXT NOT NULL,
  handoff_id TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  revision BIGINT NOT NULL,
  lead TEXT,
  state BIGINT,
  trigger BIGINT,
  owner TEXT,
  team TEXT,
  routing_rule TEXT,
  calendar TEXT,
  score BIGINT NOT NULL,
  priority BIGINT NOT NULL,
  reason TEXT,
  reject_reason TEXT,
  earlier_owners TEXT,
  escalation_count BIGINT NOT NULL,
  reassignment_count BIGINT NOT NULL,
  due_time BIGINT NOT NULL,
  trigger_time BIGINT NOT NULL,
  assign_time BIGINT NOT NULL,
  first_response_time BIGINT,
  close_time BIGINT,
  system_seconds BIGINT NOT NULL,
  human_seconds BIGINT,
  human_working_seconds BIGINT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, handoff_id),
  FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, lead_id)
);
CREATE INDEX handoffs_by_lead ON handoffs (tenant_id, lead_id);
CREATE INDEX handoffs_by_state_and_priority ON handoffs (tenant_id, state, priority, handoff_id);
CREATE INDEX handoffs_by_state_and_due_time ON handoffs (tenant_id, state, due_time, handoff_id);
CREATE INDEX handoffs_by_priority ON handoffs (tenant_id, priority, handoff_id);
CREATE INDEX handoffs_by_due_time ON handoffs (tenant_id, due_time, handoff_id);
CREATE INDEX handoffs_by_create_time ON handoffs (tenant_id, create_time, handoff_id);
CREATE INDEX handoffs_by_update_time ON handoffs (tenant_id, update_time, handoff_id);

-- The log. changes is the text whose bytes the digest covers; sealed holds personal values,
-- encrypted with the key of the person.
CREATE TABLE events (
  tenant_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  record_time BIGINT NOT NULL,
  type BIGINT NOT NULL,
  subject TEXT NOT NULL,
  lead_id TEXT,
  occur_time BIGINT NOT NULL,
  actor TEXT NOT NULL,
  trigger_name TEXT NOT NULL,
  rule_version TEXT,
  basis TEXT,
  reason TEXT,
  changes TEXT NOT NULL,
  sealed TEXT,
  digest TEXT NOT NULL,
  PRIMARY KEY (tenant_id, number)
);
CREATE INDEX events_by_lead ON events (tenant_id, lead_id, number)
  WHERE lead_id IS NOT NULL;
CREATE INDEX events_by_record_time ON events (tenant_id, record_time);

-- What a request id has done, so that a repetition answers the same. digest is a keyed HMAC.
CREATE TABLE request_log (
  tenant_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  request_id TEXT NOT NULL,
  method TEXT NOT NULL,
  digest TEXT NOT NULL,
  resource TEXT NOT NULL,
  note TEXT,
  create_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, principal, request_id)
);
CREATE INDEX request_log_by_create_time ON request_log (tenant_id, create_time);

-- One row a committed batch: a second insert of the same id tells whether a lost commit happened.
CREATE TABLE batches (
  tenant_id TEXT NOT NULL,
  batch_id TEXT NOT NULL,
  create_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, batch_id)
) WITHOUT ROWID;
CREATE INDEX batches_by_create_time ON batches (tenant_id, create_time);

-- The key that sealed values of events are encrypted with; deleting it erases them.
CREATE TABLE person_keys (
  tenant_id TEXT NOT NULL,
  lead_id TEXT NOT NULL,
  wrapped_key TEXT NOT NULL,
  PRIMARY KEY (tenant_id, lead_id)
) WITHOUT ROWID;

-- Search: folded words by field, and grams for misspelt ones; found by equality and range only.
CREATE TABLE lead_terms (
  tenant_id TEXT NOT NULL,
  term TEXT NOT NULL,
  field BIGINT NOT NULL,
  lead_id TEXT NOT NULL,
  PRIMARY KEY (tenant_id, term, field, lead_id)
) WITHOUT ROWID;
-- WITHOUT ROWID also makes this index cover the whole row; otherwise SQLite would rather walk the
-- primary key of the whole tenant.
CREATE INDEX lead_terms_by_lead ON lead_terms (tenant_id, lead_id);

-- The three-letter pieces of the distinct terms: a name that a thousand leads share costs one word.
CREATE TABLE term_grams (
  tenant_id TEXT NOT NULL,
  gram TEXT NOT NULL,
  term TEXT NOT NULL,
  PRIMARY KEY (tenant_id, gram, term)
) WITHOUT ROWID;

-- Position and lease of each background reader of the feed.
CREATE TABLE reactions (
  tenant_id TEXT NOT NULL,
  name TEXT NOT NULL,
  position BIGINT NOT NULL,
  owner TEXT NOT NULL,
  lease_until BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, name)
);

INSERT INTO tenants (tenant_id, create_time, config_version) VALUES ('default', 0, 0);
INSERT INTO feed_counters (tenant_id, last_number, last_time) VALUES ('default', 0, 0);
