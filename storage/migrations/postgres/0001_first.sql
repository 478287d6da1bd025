-- The first schema, for PostgreSQL. Same tables and columns as ../sqlite/0001_first.sql.
--
-- Two roles: whoever runs this owns the tables (the migrator); relais_app reads and writes rows
-- and can do nothing else. A server whose connection string names the owner (or a superuser) runs
-- the migrations with it and then does SET ROLE relais_app in every session. To keep the two
-- apart for good, migrate as the owner, and give the servers a login role that is only a member
-- of relais_app:  CREATE ROLE relais_server LOGIN PASSWORD '...' IN ROLE relais_app;
-- relais_app is made here when it is missing, which takes CREATEROLE; without that right an
-- administrator makes it first:  CREATE ROLE relais_app NOLOGIN; GRANT relais_app TO <owner>;
--
-- Primary keys are added after the other indexes: of indexes that look alike, as all do while a
-- table is small, PostgreSQL takes the latest one.
--
-- Text compares by its bytes (COLLATE "C"), as on SQLite. Times are microseconds since 1970 in UTC.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'relais_app') THEN
    CREATE ROLE relais_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;  -- roles belong to the whole cluster: another database's migration was quicker
END
$$;
DO $$
BEGIN
  IF NOT pg_has_role(current_user, 'relais_app', 'MEMBER') THEN
    GRANT relais_app TO CURRENT_USER;
  END IF;
END
$$;

-- config_version moves whenever something of the configuration is activated; each batch reads it.
-- key_check is derived from the key file that the first server ran with; servers with another one are
-- refused.
CREATE TABLE tenants (
  tenant_id TEXT COLLATE "C" NOT NULL,
  create_time BIGINT NOT NULL,
  config_version BIGINT NOT NULL,
  key_check TEXT COLLATE "C",
  PRIMARY KEY (tenant_id)
);

-- The last event number and time of each tenant; raised by the statement that inserts the events.
CREATE TABLE feed_counters (
  tenant_id TEXT COLLATE "C" NOT NULL,
  last_number BIGINT NOT NULL,
  last_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id)
) WITH (
  fillfactor = 10, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0
);

-- One column for each field of the field table (server/domain/lead.cc); a test compares them.
CREATE TABLE leads (
  tenant_id TEXT COLLATE "C" NOT NULL,
  lead_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  stage BIGINT,
  market BIGINT,
  person_given_name TEXT COLLATE "C",
  person_family_name TEXT COLLATE "C",
  person_display_name TEXT COLLATE "C",
  person_emails JSONB,
  person_phones JSONB,
  person_job_title TEXT COLLATE "C",
  person_language TEXT COLLATE "C",
  person_country TEXT COLLATE "C",
  person_time_zone TEXT COLLATE "C",
  person_postal_address_street TEXT COLLATE "C",
  person_postal_address_locality TEXT COLLATE "C",
  person_postal_address_region TEXT COLLATE "C",
  person_postal_address_postal_code TEXT COLLATE "C",
  person_postal_address_country TEXT COLLATE "C",
  person_birth_date TEXT COLLATE "C",
  organization_display_name TEXT COLLATE "C",
  organization_domain TEXT COLLATE "C",
  organization_industry TEXT COLLATE "C",
  organization_headcount BIGINT,
  organization_annual_revenue_units BIGINT,
  organization_annual_revenue_nanos BIGINT,
  organization_annual_revenue_currency_code TEXT COLLATE "C",
  acquisition_channel BIGINT,
  acquisition_source TEXT COLLATE "C",
  acquisition_campaign TEXT COLLATE "C",
  acquisition_utm_source TEXT COLLATE "C",
  acquisition_utm_medium TEXT COLLATE "C",
  acquisition_utm_campaign TEXT COLLATE "C",
  acquisition_utm_term TEXT COLLATE "C",
  acquisition_utm_content TEXT COLLATE "C",
  acquisition_click_id TEXT COLLATE "C",
  acquisition_landing_page TEXT COLLATE "C",
  acquisition_first_touch_time BIGINT,
  needs JSONB,
  maturity BIGINT,
  estimated_value_units BIGINT,
  estimated_value_nanos BIGINT,
  estimated_value_currency_code TEXT COLLATE "C",
  score BIGINT NOT NULL,
  fit_score BIGINT NOT NULL,
  engagement_score BIGINT NOT NULL,
  intent_score BIGINT NOT NULL,
  grade TEXT COLLATE "C",
  score_band BIGINT,
  score_model TEXT COLLATE "C",
  score_state TEXT COLLATE "C",
  next_score_time BIGINT,
  owner TEXT COLLATE "C",
  consents JSONB,
  consent_times JSONB,
  labels JSONB,
  external_ids JSONB,
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
  disqualify_reason TEXT COLLATE "C",
  merged_into TEXT COLLATE "C",
  merged_leads JSONB,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL
) WITH (
  -- Nearly every capture updates its lead: room for the new version on the same page, and vacuum
  -- after 2 % instead of 20 %.
  fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02
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
ALTER TABLE leads ADD PRIMARY KEY (tenant_id, lead_id);

-- Who owns an e-mail address, a phone number or an external id. kind is IdentityKind.
CREATE TABLE lead_identities (
  tenant_id TEXT COLLATE "C" NOT NULL,
  kind BIGINT NOT NULL,
  value TEXT COLLATE "C" NOT NULL,
  lead_id UUID NOT NULL,
  FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, lead_id)
);
CREATE INDEX lead_identities_by_lead ON lead_identities (tenant_id, lead_id);
ALTER TABLE lead_identities ADD PRIMARY KEY (tenant_id, kind, value);

-- Append-only; no foreign key to leads, which would cost 15 % of the CPU of a capture.
CREATE TABLE touchpoints (
  tenant_id TEXT COLLATE "C" NOT NULL,
  touchpoint_id UUID NOT NULL,
  lead_id UUID NOT NULL,
  kind BIGINT,
  channel BIGINT,
  occur_time BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  source TEXT COLLATE "C",
  external_id TEXT COLLATE "C",
  campaign TEXT COLLATE "C",
  topic TEXT COLLATE "C",
  url TEXT COLLATE "C",
  body TEXT COLLATE "C",
  value_units BIGINT,
  value_nanos BIGINT,
  value_currency_code TEXT COLLATE "C",
  duration_seconds BIGINT,
  properties JSONB,
  actor TEXT COLLATE "C"
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE UNIQUE INDEX touchpoints_by_external_id ON touchpoints (tenant_id, source, external_id)
  WHERE external_id IS NOT NULL;
-- NULLs are distinct in a unique index, so those without a source need one of their own.
CREATE UNIQUE INDEX touchpoints_by_external_id_alone ON touchpoints (tenant_id, external_id)
  WHERE external_id IS NOT NULL AND source IS NULL;
CREATE INDEX touchpoints_by_lead ON touchpoints (tenant_id, lead_id, occur_time, touchpoint_id);
ALTER TABLE touchpoints ADD PRIMARY KEY (tenant_id, touchpoint_id);

CREATE TABLE consents (
  tenant_id TEXT COLLATE "C" NOT NULL,
  consent_id UUID NOT NULL,
  lead_id UUID NOT NULL,
  channel BIGINT,
  purpose BIGINT,
  state BIGINT,
  legal_basis BIGINT,
  wording_version TEXT COLLATE "C",
  source TEXT COLLATE "C",
  proof TEXT COLLATE "C",
  occur_time BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  actor TEXT COLLATE "C"
);
CREATE INDEX consents_by_lead ON consents (tenant_id, lead_id, occur_time, consent_id);
ALTER TABLE consents ADD PRIMARY KEY (tenant_id, consent_id);

CREATE TABLE assessments (
  tenant_id TEXT COLLATE "C" NOT NULL,
  assessment_id UUID NOT NULL,
  lead_id UUID NOT NULL,
  answers JSONB,
  source BIGINT,
  author TEXT COLLATE "C",
  occur_time BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  policy TEXT COLLATE "C"
);
CREATE INDEX assessments_by_lead ON assessments (tenant_id, lead_id, occur_time, assessment_id);
ALTER TABLE assessments ADD PRIMARY KEY (tenant_id, assessment_id);

CREATE TABLE opportunities (
  tenant_id TEXT COLLATE "C" NOT NULL,
  opportunity_id UUID NOT NULL,
  lead_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  lead TEXT COLLATE "C",
  display_name TEXT COLLATE "C",
  state BIGINT,
  pipeline TEXT COLLATE "C",
  stage TEXT COLLATE "C",
  probability_percent BIGINT NOT NULL,
  amount_units BIGINT,
  amount_nanos BIGINT,
  amount_currency_code TEXT COLLATE "C",
  line_items JSONB,
  expected_close_time BIGINT,
  requested_delivery_time BIGINT,
  promised_delivery_time BIGINT,
  competitors JSONB,
  contacts JSONB,
  objections JSONB,
  next_step TEXT COLLATE "C",
  owner TEXT COLLATE "C",
  intention TEXT COLLATE "C",
  close_reason TEXT COLLATE "C",
  winning_competitor TEXT COLLATE "C",
  external_ids JSONB,
  labels JSONB,
  open_time BIGINT NOT NULL,
  stage_time BIGINT NOT NULL,
  close_time BIGINT,
  stage_seconds JSONB,
  reopen_count BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, lead_id)
);
CREATE INDEX opportunities_by_lead ON opportunities (tenant_id, lead_id);
CREATE INDEX opportunities_by_create_time ON opportunities (tenant_id, create_time, opportunity_id);
CREATE INDEX opportunities_by_close_time ON opportunities (tenant_id, state, close_time);
CREATE INDEX opportunities_by_update_time ON opportunities (tenant_id, update_time, opportunity_id);
CREATE INDEX opportunities_by_open_time ON opportunities (tenant_id, open_time, opportunity_id);
CREATE INDEX opportunities_by_expected_close_time ON opportunities (tenant_id, (COALESCE(expected_close_time, 0)), opportunity_id);
CREATE INDEX opportunities_by_amount ON opportunities (tenant_id, (COALESCE(amount_units, 0)), opportunity_id);
ALTER TABLE opportunities ADD PRIMARY KEY (tenant_id, opportunity_id);

-- Ids of other systems.
CREATE TABLE opportunity_keys (
  tenant_id TEXT COLLATE "C" NOT NULL,
  system TEXT COLLATE "C" NOT NULL,
  external_id TEXT COLLATE "C" NOT NULL,
  opportunity_id UUID NOT NULL,
  FOREIGN KEY (tenant_id, opportunity_id) REFERENCES opportunities (tenant_id, opportunity_id)
);
CREATE INDEX opportunity_keys_by_opportunity ON opportunity_keys (tenant_id, opportunity_id);
ALTER TABLE opportunity_keys ADD PRIMARY KEY (tenant_id, system, external_id);

CREATE TABLE users (
  tenant_id TEXT COLLATE "C" NOT NULL,
  user_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT COLLATE "C",
  email TEXT COLLATE "C",
  teams JSONB,
  time_zone TEXT COLLATE "C",
  language TEXT COLLATE "C",
  archived BIGINT NOT NULL,
  external_ids JSONB,
  calendar TEXT COLLATE "C",
  absences JSONB,
  capacity BIGINT,
  weight BIGINT,
  territories JSONB,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
);

CREATE TABLE user_keys (
  tenant_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,
  user_id UUID NOT NULL,
  PRIMARY KEY (tenant_id, kind, value),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, user_id)
);
CREATE INDEX user_keys_by_user ON user_keys (tenant_id, user_id);

CREATE TABLE teams (
  tenant_id TEXT COLLATE "C" NOT NULL,
  team_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT COLLATE "C",
  parent_team TEXT COLLATE "C",
  archived BIGINT NOT NULL,
  calendar TEXT COLLATE "C",
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, team_id)
);

CREATE TABLE team_keys (
  tenant_id TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  value TEXT COLLATE "C" NOT NULL,
  team_id UUID NOT NULL,
  PRIMARY KEY (tenant_id, kind, value),
  FOREIGN KEY (tenant_id, team_id) REFERENCES teams (tenant_id, team_id)
);
CREATE INDEX team_keys_by_team ON team_keys (tenant_id, team_id);

CREATE TABLE imports (
  tenant_id TEXT COLLATE "C" NOT NULL,
  import_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT COLLATE "C",
  state BIGINT,
  committed_row BIGINT NOT NULL,
  rows_total BIGINT NOT NULL,
  rows_done BIGINT NOT NULL,
  rows_unchanged BIGINT NOT NULL,
  rows_failed BIGINT NOT NULL,
  operation TEXT COLLATE "C",
  actor TEXT COLLATE "C",
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, import_id)
);
CREATE INDEX imports_by_create_time ON imports (tenant_id, create_time, import_id);

CREATE TABLE operations (
  tenant_id TEXT COLLATE "C" NOT NULL,
  operation_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  kind TEXT COLLATE "C",
  state BIGINT,
  target TEXT COLLATE "C",
  rows_total BIGINT NOT NULL,
  rows_read BIGINT NOT NULL,
  rows_done BIGINT NOT NULL,
  rows_failed BIGINT NOT NULL,
  cursor TEXT COLLATE "C",
  error_code BIGINT NOT NULL,
  error_message TEXT COLLATE "C",
  actor TEXT COLLATE "C",
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
  tenant_id TEXT COLLATE "C" NOT NULL,
  config_document_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  version BIGINT NOT NULL,
  slot TEXT COLLATE "C",
  state BIGINT NOT NULL,
  document TEXT COLLATE "C",
  author TEXT COLLATE "C",
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  activate_time BIGINT
);
CREATE UNIQUE INDEX config_documents_by_name ON config_documents (tenant_id, kind, name, version);
ALTER TABLE config_documents ADD PRIMARY KEY (tenant_id, config_document_id);

-- Working hours and holidays; due times are counted by them.
CREATE TABLE calendars (
  tenant_id TEXT COLLATE "C" NOT NULL,
  calendar_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT COLLATE "C",
  time_zone TEXT COLLATE "C",
  working_hours JSONB,
  holidays JSONB,
  archived BIGINT NOT NULL,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, calendar_id)
);

CREATE TABLE segments (
  tenant_id TEXT COLLATE "C" NOT NULL,
  segment_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  display_name TEXT COLLATE "C",
  description TEXT COLLATE "C",
  filter TEXT COLLATE "C",
  state BIGINT,
  time_dependent BIGINT NOT NULL,
  ready_time BIGINT,
  create_time BIGINT NOT NULL,
  update_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, segment_id)
);

-- Who is in a segment, and since when.
CREATE TABLE segment_members (
  tenant_id TEXT COLLATE "C" NOT NULL,
  segment_id UUID NOT NULL,
  lead_id UUID NOT NULL,
  enter_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, segment_id, lead_id)
);

-- Open leads of each user, moved by the transaction that moves a lead.
CREATE TABLE user_loads (
  tenant_id TEXT COLLATE "C" NOT NULL,
  user_id UUID NOT NULL,
  open_leads BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, user_id)
) WITH (
  fillfactor = 10, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0
);

-- Whose turn it is, by routing rule: one row a tenant, locked by whoever takes a turn.
CREATE TABLE rotations (
  tenant_id TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  revision BIGINT NOT NULL,
  credits TEXT COLLATE "C",
  PRIMARY KEY (tenant_id, name)
) WITH (
  fillfactor = 10, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0
);

-- priority orders by score (the highest first), then by due_time.
CREATE TABLE handoffs (
  tenant_id TEXT COLLATE "C" NOT NULL,
  handoff_id UUID NOT NULL,
  lead_id UUID NOT NULL,
  revision BIGINT NOT NULL,
  lead TEXT COLLATE "C",
  state BIGINT,
  trigger BIGINT,
  owner TEXT COLLATE "C",
  team TEXT COLLATE "C",
  routing_rule TEXT COLLATE "C",
  calendar TEXT COLLATE "C",
  score BIGINT NOT NULL,
  priority BIGINT NOT NULL,
  reason TEXT COLLATE "C",
  reject_reason TEXT COLLATE "C",
  earlier_owners JSONB,
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
  FOREIGN KEY (tenant_id, lead_id) REFERENCES leads (tenant_id, lead_id)
);
CREATE INDEX handoffs_by_lead ON handoffs (tenant_id, lead_id);
CREATE INDEX handoffs_by_state_and_priority ON handoffs (tenant_id, state, priority, handoff_id);
CREATE INDEX handoffs_by_state_and_due_time ON handoffs (tenant_id, state, due_time, handoff_id);
CREATE INDEX handoffs_by_priority ON handoffs (tenant_id, priority, handoff_id);
CREATE INDEX handoffs_by_due_time ON handoffs (tenant_id, due_time, handoff_id);
CREATE INDEX handoffs_by_create_time ON handoffs (tenant_id, create_time, handoff_id);
CREATE INDEX handoffs_by_update_time ON handoffs (tenant_id, update_time, handoff_id);
ALTER TABLE handoffs ADD PRIMARY KEY (tenant_id, handoff_id);

-- The log. changes is the text whose bytes the digest covers; sealed holds personal values,
-- encrypted with the key of the person.
CREATE TABLE events (
  tenant_id TEXT COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  record_time BIGINT NOT NULL,
  type BIGINT NOT NULL,
  subject TEXT COLLATE "C" NOT NULL,
  lead_id UUID,
  occur_time BIGINT NOT NULL,
  actor TEXT COLLATE "C" NOT NULL,
  trigger_name TEXT COLLATE "C" NOT NULL,
  rule_version TEXT COLLATE "C",
  basis TEXT COLLATE "C",
  reason TEXT COLLATE "C",
  changes TEXT COLLATE "C" NOT NULL,
  sealed TEXT COLLATE "C",
  digest TEXT COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE INDEX events_by_lead ON events (tenant_id, lead_id, number)
  WHERE lead_id IS NOT NULL;
CREATE INDEX events_by_record_time ON events USING brin (record_time);
ALTER TABLE events ADD PRIMARY KEY (tenant_id, number);

-- What a request id has done, so that a repetition answers the same. digest is a keyed HMAC.
CREATE TABLE request_log (
  tenant_id TEXT COLLATE "C" NOT NULL,
  principal TEXT COLLATE "C" NOT NULL,
  request_id UUID NOT NULL,
  method TEXT COLLATE "C" NOT NULL,
  digest TEXT COLLATE "C" NOT NULL,
  resource TEXT COLLATE "C" NOT NULL,
  note TEXT COLLATE "C",
  create_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, principal, request_id)
);
CREATE INDEX request_log_by_create_time ON request_log USING brin (create_time);

-- One row a committed batch: a second insert of the same id tells whether a lost commit happened.
CREATE TABLE batches (
  tenant_id TEXT COLLATE "C" NOT NULL,
  batch_id UUID NOT NULL,
  create_time BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, batch_id)
);
CREATE INDEX batches_by_create_time ON batches (tenant_id, create_time);

-- The key that sealed values of events are encrypted with; deleting it erases them.
CREATE TABLE person_keys (
  tenant_id TEXT COLLATE "C" NOT NULL,
  lead_id UUID NOT NULL,
  wrapped_key TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, lead_id)
);

-- Search: folded words by field, and grams for misspelt ones; found by equality and range only.
CREATE TABLE lead_terms (
  tenant_id TEXT COLLATE "C" NOT NULL,
  term TEXT COLLATE "C" NOT NULL,
  field BIGINT NOT NULL,
  lead_id UUID NOT NULL,
  PRIMARY KEY (tenant_id, term, field, lead_id)
);
CREATE INDEX lead_terms_by_lead ON lead_terms (tenant_id, lead_id);

-- The three-letter pieces of the distinct terms: a name that a thousand leads share costs one word.
CREATE TABLE term_grams (
  tenant_id TEXT COLLATE "C" NOT NULL,
  gram TEXT COLLATE "C" NOT NULL,
  term TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, gram, term)
);

-- Position and lease of each background reader of the feed.
CREATE TABLE reactions (
  tenant_id TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  position BIGINT NOT NULL,
  owner TEXT COLLATE "C" NOT NULL,
  lease_until BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  PRIMARY KEY (tenant_id, name)
) WITH (
  fillfactor = 10, autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0
);

INSERT INTO tenants (tenant_id, create_time, config_version) VALUES ('default', 0, 0);
INSERT INTO feed_counters (tenant_id, last_number, last_time) VALUES ('default', 0, 0);

-- A statement sees the rows of one tenant: the one that its transaction named in app.tenant. Forced,
-- so that the owner is bound, too. Without a tenant, nothing is seen. The setting is read in a
-- subquery, once a statement and not once a row.
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenants_of_tenant ON tenants
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE feed_counters ENABLE ROW LEVEL SECURITY;
ALTER TABLE feed_counters FORCE ROW LEVEL SECURITY;
CREATE POLICY feed_counters_of_tenant ON feed_counters
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE leads ENABLE ROW LEVEL SECURITY;
ALTER TABLE leads FORCE ROW LEVEL SECURITY;
CREATE POLICY leads_of_tenant ON leads
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE lead_identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_identities FORCE ROW LEVEL SECURITY;
CREATE POLICY lead_identities_of_tenant ON lead_identities
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE touchpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE touchpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY touchpoints_of_tenant ON touchpoints
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE consents ENABLE ROW LEVEL SECURITY;
ALTER TABLE consents FORCE ROW LEVEL SECURITY;
CREATE POLICY consents_of_tenant ON consents
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE assessments ENABLE ROW LEVEL SECURITY;
ALTER TABLE assessments FORCE ROW LEVEL SECURITY;
CREATE POLICY assessments_of_tenant ON assessments
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE opportunities ENABLE ROW LEVEL SECURITY;
ALTER TABLE opportunities FORCE ROW LEVEL SECURITY;
CREATE POLICY opportunities_of_tenant ON opportunities
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE opportunity_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE opportunity_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY opportunity_keys_of_tenant ON opportunity_keys
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY users_of_tenant ON users
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE user_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY user_keys_of_tenant ON user_keys
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
ALTER TABLE teams FORCE ROW LEVEL SECURITY;
CREATE POLICY teams_of_tenant ON teams
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE team_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE team_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY team_keys_of_tenant ON team_keys
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE imports ENABLE ROW LEVEL SECURITY;
ALTER TABLE imports FORCE ROW LEVEL SECURITY;
CREATE POLICY imports_of_tenant ON imports
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE operations ENABLE ROW LEVEL SECURITY;
ALTER TABLE operations FORCE ROW LEVEL SECURITY;
CREATE POLICY operations_of_tenant ON operations
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE config_documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE config_documents FORCE ROW LEVEL SECURITY;
CREATE POLICY config_documents_of_tenant ON config_documents
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
CREATE POLICY events_of_tenant ON events
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE request_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE request_log FORCE ROW LEVEL SECURITY;
CREATE POLICY request_log_of_tenant ON request_log
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE batches ENABLE ROW LEVEL SECURITY;
ALTER TABLE batches FORCE ROW LEVEL SECURITY;
CREATE POLICY batches_of_tenant ON batches
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE person_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE person_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY person_keys_of_tenant ON person_keys
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE lead_terms ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_terms FORCE ROW LEVEL SECURITY;
CREATE POLICY lead_terms_of_tenant ON lead_terms
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE term_grams ENABLE ROW LEVEL SECURITY;
ALTER TABLE term_grams FORCE ROW LEVEL SECURITY;
CREATE POLICY term_grams_of_tenant ON term_grams
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE reactions ENABLE ROW LEVEL SECURITY;
ALTER TABLE reactions FORCE ROW LEVEL SECURITY;
CREATE POLICY reactions_of_tenant ON reactions
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE calendars ENABLE ROW LEVEL SECURITY;
ALTER TABLE calendars FORCE ROW LEVEL SECURITY;
CREATE POLICY calendars_of_tenant ON calendars
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE user_loads ENABLE ROW LEVEL SECURITY;
ALTER TABLE user_loads FORCE ROW LEVEL SECURITY;
CREATE POLICY user_loads_of_tenant ON user_loads
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE rotations ENABLE ROW LEVEL SECURITY;
ALTER TABLE rotations FORCE ROW LEVEL SECURITY;
CREATE POLICY rotations_of_tenant ON rotations
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE handoffs ENABLE ROW LEVEL SECURITY;
ALTER TABLE handoffs FORCE ROW LEVEL SECURITY;
CREATE POLICY handoffs_of_tenant ON handoffs
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));

ALTER TABLE segments ENABLE ROW LEVEL SECURITY;
ALTER TABLE segments FORCE ROW LEVEL SECURITY;
CREATE POLICY segments_of_tenant ON segments
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
ALTER TABLE segment_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE segment_members FORCE ROW LEVEL SECURITY;
CREATE POLICY segment_members_of_tenant ON segment_members
  USING (tenant_id = (SELECT current_setting('app.tenant', true)));
DO $$
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO relais_app', current_schema());
END
$$;
GRANT SELECT, INSERT, UPDATE, DELETE ON
  tenants, feed_counters, leads, lead_identities, touchpoints, consents, assessments, opportunities,
  opportunity_keys, users, user_keys, teams, team_keys, imports, operations, config_documents,
  request_log, batches, person_keys, lead_terms, term_grams, reactions, calendars, user_loads,
  rotations, handoffs, segments, segment_members
TO relais_app;
-- The log only grows.
GRANT SELECT, INSERT ON events TO relais_app;
GRANT SELECT ON schema_migrations TO relais_app;
