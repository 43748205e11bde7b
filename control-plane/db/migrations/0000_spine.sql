CREATE SEQUENCE "public"."record_arrival" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE TABLE "alert" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"condition" text NOT NULL,
	"rule" text,
	"trigger" text NOT NULL,
	"severity" text NOT NULL,
	"subject" text,
	"raised_at" timestamp (3) with time zone NOT NULL,
	"summary" text NOT NULL,
	"figures" jsonb NOT NULL,
	"resolved_at" timestamp (3) with time zone,
	"acknowledged_at" timestamp (3) with time zone,
	"acknowledged_by" jsonb,
	CONSTRAINT "alert_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "alert" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "api_key_secret" (
	"tenant" text NOT NULL,
	"api_key" text NOT NULL,
	"hash" "bytea" NOT NULL,
	"prefix" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"rotated_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"last_used_at" timestamp (3) with time zone,
	CONSTRAINT "api_key_secret_tenant_api_key_hash_pk" PRIMARY KEY("tenant","api_key","hash")
);
--> statement-breakpoint
ALTER TABLE "api_key_secret" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "audit_entry" (
	"tenant" text NOT NULL,
	"sequence" bigint NOT NULL,
	"id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"revision" bigint,
	"actor_id" text NOT NULL,
	"action" text NOT NULL,
	"target_ids" jsonb NOT NULL,
	"correlation" text NOT NULL,
	"allowed" boolean NOT NULL,
	"body" text NOT NULL,
	"beside" jsonb NOT NULL,
	"previous_hash" text NOT NULL,
	"hash" text NOT NULL,
	"number" bigint,
	CONSTRAINT "audit_entry_tenant_sequence_pk" PRIMARY KEY("tenant","sequence")
);
--> statement-breakpoint
ALTER TABLE "audit_entry" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "browser_session" (
	"tenant" text NOT NULL,
	"hash" "bytea" NOT NULL,
	"kind" text NOT NULL,
	"principal" text NOT NULL,
	"issuer" text NOT NULL,
	"subject" text NOT NULL,
	"acts_in" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "browser_session_tenant_hash_pk" PRIMARY KEY("tenant","hash")
);
--> statement-breakpoint
ALTER TABLE "browser_session" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "budget_adjustment" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"budget" text NOT NULL,
	"subject" text NOT NULL,
	"window_from" bigint NOT NULL,
	"window_to" bigint NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"amount" numeric(38, 12) NOT NULL,
	"reason" text NOT NULL,
	"actor" jsonb,
	"expires_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	CONSTRAINT "budget_adjustment_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "budget_adjustment" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "budget_counter" (
	"tenant" text NOT NULL,
	"budget" text NOT NULL,
	"subject" text NOT NULL,
	"window_from" bigint NOT NULL,
	"window_to" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"limit_amount" numeric(38, 12) NOT NULL,
	"adjustments" numeric(38, 12) DEFAULT '0' NOT NULL,
	"committed" numeric(38, 12) DEFAULT '0' NOT NULL,
	"overruns" numeric(38, 12) DEFAULT '0' NOT NULL,
	"released" numeric(38, 12) DEFAULT '0' NOT NULL,
	"carried_at" timestamp (3) with time zone,
	CONSTRAINT "budget_counter_tenant_budget_subject_window_from_window_to_pk" PRIMARY KEY("tenant","budget","subject","window_from","window_to")
);
--> statement-breakpoint
ALTER TABLE "budget_counter" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "budget_told" (
	"tenant" text NOT NULL,
	"budget" text NOT NULL,
	"subject" text NOT NULL,
	"window_from" bigint NOT NULL,
	"window_to" bigint NOT NULL,
	"limit_amount" numeric(38, 12) NOT NULL,
	"adjustments" numeric(38, 12) NOT NULL,
	"committed" numeric(38, 12) NOT NULL,
	"overruns" numeric(38, 12) NOT NULL,
	"released" numeric(38, 12) NOT NULL,
	"moved" boolean NOT NULL,
	"told_at" timestamp (3) with time zone,
	CONSTRAINT "budget_told_tenant_budget_subject_pk" PRIMARY KEY("tenant","budget","subject")
);
--> statement-breakpoint
ALTER TABLE "budget_told" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "chain_head" (
	"tenant" text NOT NULL,
	"instance" text NOT NULL,
	"epoch" bigint NOT NULL,
	"sequence" bigint NOT NULL,
	"hash" text NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"quarantined_at" timestamp (3) with time zone,
	"reason" text,
	"forked" boolean DEFAULT false NOT NULL,
	CONSTRAINT "chain_head_tenant_instance_epoch_pk" PRIMARY KEY("tenant","instance","epoch")
);
--> statement-breakpoint
ALTER TABLE "chain_head" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "credential_secret" (
	"tenant" text NOT NULL,
	"credential" text NOT NULL,
	"version" integer NOT NULL,
	"sealed" "bytea" NOT NULL,
	"fingerprint" text NOT NULL,
	"rotated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "credential_secret_tenant_credential_pk" PRIMARY KEY("tenant","credential")
);
--> statement-breakpoint
ALTER TABLE "credential_secret" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "enrolment_token" (
	"tenant" text NOT NULL,
	"hash" "bytea" NOT NULL,
	"data_plane" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"uses" integer DEFAULT 0 NOT NULL,
	CONSTRAINT "enrolment_token_tenant_hash_pk" PRIMARY KEY("tenant","hash")
);
--> statement-breakpoint
ALTER TABLE "enrolment_token" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "flight_record" (
	"tenant" text NOT NULL,
	"instance" text NOT NULL,
	"epoch" bigint NOT NULL,
	"sequence" bigint NOT NULL,
	"id" text NOT NULL,
	"hash" text NOT NULL,
	"arrival" bigint NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"number" bigint,
	"at" timestamp (3) with time zone NOT NULL,
	"team" text,
	"project" text,
	"principal" text,
	"api_key" text,
	"provider" text,
	"model" text,
	"alias_id" text,
	"alias" text NOT NULL,
	"tier" text,
	"data_plane" text NOT NULL,
	"trace_id" text,
	"outcome" text NOT NULL,
	"refusal" text,
	"request_labels" jsonb NOT NULL,
	"cost" numeric(38, 12) NOT NULL,
	"body" text NOT NULL,
	CONSTRAINT "flight_record_tenant_instance_epoch_sequence_received_at_pk" PRIMARY KEY("tenant","instance","epoch","sequence","received_at")
);
--> statement-breakpoint
ALTER TABLE "flight_record" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "idempotency" (
	"tenant" text NOT NULL,
	"principal" text NOT NULL,
	"key" text NOT NULL,
	"operation" text NOT NULL,
	"body_digest" text NOT NULL,
	"result" jsonb NOT NULL,
	"first_used_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "idempotency_tenant_principal_key_pk" PRIMARY KEY("tenant","principal","key")
);
--> statement-breakpoint
ALTER TABLE "idempotency" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "identity" (
	"tenant" text NOT NULL,
	"digest" "bytea" NOT NULL,
	"issuer" text NOT NULL,
	"subject" text NOT NULL,
	"principal" text NOT NULL,
	CONSTRAINT "identity_tenant_digest_pk" PRIMARY KEY("tenant","digest")
);
--> statement-breakpoint
ALTER TABLE "identity" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "installation" (
	"id" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"master_check" "bytea" NOT NULL,
	"trust_root" jsonb NOT NULL,
	"sealed_root_key" "bytea" NOT NULL,
	"sealed_online_key" "bytea" NOT NULL
);
--> statement-breakpoint
CREATE TABLE "instance" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"data_plane" text NOT NULL,
	"signing_key" text NOT NULL,
	"encryption_key" text NOT NULL,
	"host" text,
	"version" text,
	"epoch" bigint DEFAULT 0 NOT NULL,
	"boot_id" text,
	"enrolled_at" timestamp (3) with time zone NOT NULL,
	"started_at" timestamp (3) with time zone,
	"last_seen_at" timestamp (3) with time zone,
	"connected_at" timestamp (3) with time zone,
	"retired_at" timestamp (3) with time zone,
	"active_revision" bigint,
	"delta_number" bigint,
	"snapshot_age_ms" bigint,
	"clock_offset_ms" integer,
	"records_through" timestamp (3) with time zone,
	"limit_sharing" text,
	"told_state" text,
	"leases_reported_at" timestamp (3) with time zone,
	"written_off_at" timestamp (3) with time zone,
	CONSTRAINT "instance_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "instance" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "key_delta" (
	"tenant" text NOT NULL,
	"number" bigint NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"body" jsonb NOT NULL,
	CONSTRAINT "key_delta_tenant_number_pk" PRIMARY KEY("tenant","number")
);
--> statement-breakpoint
ALTER TABLE "key_delta" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "lease" (
	"tenant" text NOT NULL,
	"budget" text NOT NULL,
	"subject" text NOT NULL,
	"window_from" bigint NOT NULL,
	"window_to" bigint NOT NULL,
	"instance" text NOT NULL,
	"epoch" bigint NOT NULL,
	"rolling" boolean NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"granted" numeric(38, 12) DEFAULT '0' NOT NULL,
	"returned" numeric(38, 12) DEFAULT '0' NOT NULL,
	"posted" numeric(38, 12) DEFAULT '0' NOT NULL,
	"overrun" numeric(38, 12) DEFAULT '0' NOT NULL,
	"aged" numeric(38, 12) DEFAULT '0' NOT NULL,
	"aged_at" timestamp (3) with time zone,
	"written_off_at" timestamp (3) with time zone,
	CONSTRAINT "lease_tenant_budget_subject_window_from_window_to_instance_epoch_pk" PRIMARY KEY("tenant","budget","subject","window_from","window_to","instance","epoch")
);
--> statement-breakpoint
ALTER TABLE "lease" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "lease_recall" (
	"tenant" text NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "lease_recall_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"instance" text NOT NULL,
	"budget" text NOT NULL,
	"subject" text NOT NULL,
	"amount" numeric(38, 12) NOT NULL,
	"until_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "lease_recall_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "lease_recall" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "ledger_entry" (
	"tenant" text NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "ledger_entry_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp (3) with time zone NOT NULL,
	"kind" text NOT NULL,
	"budget" text NOT NULL,
	"subject" text NOT NULL,
	"window_from" bigint NOT NULL,
	"window_to" bigint NOT NULL,
	"instance" text,
	"epoch" bigint,
	"amount" numeric(38, 12) NOT NULL,
	CONSTRAINT "ledger_entry_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "ledger_entry" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "ledger_recovery" (
	"tenant" text PRIMARY KEY NOT NULL,
	"since" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "ledger_recovery" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "limit_deal" (
	"tenant" text PRIMARY KEY NOT NULL,
	"deal" bigint NOT NULL,
	"target" jsonb NOT NULL,
	"holders" jsonb NOT NULL,
	"waiting" jsonb NOT NULL,
	"fresh" boolean NOT NULL,
	"dealt_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "limit_deal" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "log_state" (
	"tenant" text PRIMARY KEY NOT NULL,
	"last_number" bigint DEFAULT -1 NOT NULL,
	"last_sub" bigint DEFAULT 0 NOT NULL,
	"events_pruned" bigint DEFAULT -1 NOT NULL,
	"records_pruned" bigint DEFAULT -1 NOT NULL,
	"ticks_pruned" bigint DEFAULT -1 NOT NULL
);
--> statement-breakpoint
ALTER TABLE "log_state" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "model_bounds" (
	"tenant" text NOT NULL,
	"model" text NOT NULL,
	"revision" bigint NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"record" text NOT NULL,
	CONSTRAINT "model_bounds_tenant_model_pk" PRIMARY KEY("tenant","model")
);
--> statement-breakpoint
ALTER TABLE "model_bounds" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "outbox_event" (
	"tenant" text NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "outbox_event_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"body" jsonb NOT NULL,
	"audit_sequence" bigint,
	"number" bigint,
	"sub" bigint,
	CONSTRAINT "outbox_event_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "outbox_event" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "provider_check" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"provider" text NOT NULL,
	"credential" text,
	"revision" bigint NOT NULL,
	"asked_at" timestamp (3) with time zone NOT NULL,
	"data_plane" text,
	"instance" text,
	"finding" jsonb,
	CONSTRAINT "provider_check_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "provider_check" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "resource" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"labels" jsonb NOT NULL,
	"spec" jsonb NOT NULL,
	"revision" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"archived_at" timestamp (3) with time zone,
	CONSTRAINT "resource_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "resource" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "resource_history" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"revision" bigint NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"labels" jsonb NOT NULL,
	"spec" jsonb NOT NULL,
	"archived" boolean NOT NULL,
	CONSTRAINT "resource_history_tenant_id_revision_pk" PRIMARY KEY("tenant","id","revision")
);
--> statement-breakpoint
ALTER TABLE "resource_history" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "resource_reference" (
	"tenant" text NOT NULL,
	"from_id" text NOT NULL,
	"path" text NOT NULL,
	"to_id" text NOT NULL,
	CONSTRAINT "resource_reference_tenant_from_id_path_pk" PRIMARY KEY("tenant","from_id","path")
);
--> statement-breakpoint
ALTER TABLE "resource_reference" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "snapshot" (
	"tenant" text NOT NULL,
	"revision" bigint NOT NULL,
	"delta_number" bigint NOT NULL,
	"content_digest" text NOT NULL,
	"manifest" "bytea" NOT NULL,
	"secrets_state" text NOT NULL,
	"secrets_digest" text,
	"grant_uses" jsonb NOT NULL,
	"keys_form" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "snapshot_tenant_revision_pk" PRIMARY KEY("tenant","revision")
);
--> statement-breakpoint
ALTER TABLE "snapshot" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "snapshot_part" (
	"tenant" text NOT NULL,
	"digest" text NOT NULL,
	"bytes" "bytea" NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "snapshot_part_tenant_digest_pk" PRIMARY KEY("tenant","digest")
);
--> statement-breakpoint
ALTER TABLE "snapshot_part" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "spend_rollup" (
	"tenant" text NOT NULL,
	"interval" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"tuple" text NOT NULL,
	"team" text NOT NULL,
	"project" text NOT NULL,
	"principal" text NOT NULL,
	"api_key" text NOT NULL,
	"provider" text NOT NULL,
	"model" text NOT NULL,
	"alias" text NOT NULL,
	"tier" text NOT NULL,
	"data_plane" text NOT NULL,
	"request_labels" jsonb NOT NULL,
	"cost" numeric(38, 12) NOT NULL,
	"requests" bigint NOT NULL,
	"refused" bigint NOT NULL,
	"failed" bigint NOT NULL,
	"tokens" bigint NOT NULL,
	"input_tokens" bigint NOT NULL,
	"cached_input_tokens" bigint NOT NULL,
	"output_tokens" bigint NOT NULL,
	"latency" jsonb NOT NULL,
	CONSTRAINT "spend_rollup_tenant_interval_at_tuple_pk" PRIMARY KEY("tenant","interval","at","tuple")
);
--> statement-breakpoint
ALTER TABLE "spend_rollup" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "spend_tick" (
	"tenant" text NOT NULL,
	"number" bigint NOT NULL,
	"first" bigint NOT NULL,
	"written_at" timestamp (3) with time zone NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"tuple" text NOT NULL,
	"team" text NOT NULL,
	"project" text NOT NULL,
	"principal" text NOT NULL,
	"api_key" text NOT NULL,
	"provider" text NOT NULL,
	"model" text NOT NULL,
	"alias" text NOT NULL,
	"tier" text NOT NULL,
	"data_plane" text NOT NULL,
	"request_labels" jsonb NOT NULL,
	"cost" numeric(38, 12) NOT NULL,
	"requests" bigint NOT NULL,
	"refused" bigint NOT NULL,
	"failed" bigint NOT NULL,
	"tokens" bigint NOT NULL,
	"input_tokens" bigint NOT NULL,
	"cached_input_tokens" bigint NOT NULL,
	"output_tokens" bigint NOT NULL,
	"latency" jsonb NOT NULL,
	CONSTRAINT "spend_tick_tenant_number_at_tuple_written_at_pk" PRIMARY KEY("tenant","number","at","tuple","written_at")
);
--> statement-breakpoint
ALTER TABLE "spend_tick" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "tenant" (
	"id" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"config_revision" bigint DEFAULT 0 NOT NULL,
	"audit_next" bigint DEFAULT 0 NOT NULL,
	"audit_hash" text NOT NULL,
	"delta_last" bigint DEFAULT 0 NOT NULL,
	"envelope_last" bigint DEFAULT 0 NOT NULL,
	"sealed_content_key" "bytea" NOT NULL,
	"operates" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
ALTER TABLE "tenant" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "webhook_delivery" (
	"tenant" text NOT NULL,
	"id" text NOT NULL,
	"webhook" text NOT NULL,
	"event" text NOT NULL,
	"event_id" bigint,
	"at" timestamp (3) with time zone NOT NULL,
	"body" text,
	"attempts" integer DEFAULT 0 NOT NULL,
	"next_at" timestamp (3) with time zone,
	"last_attempt_at" timestamp (3) with time zone,
	"status" integer,
	"fault" text,
	"delivered_at" timestamp (3) with time zone,
	CONSTRAINT "webhook_delivery_tenant_id_pk" PRIMARY KEY("tenant","id")
);
--> statement-breakpoint
ALTER TABLE "webhook_delivery" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "webhook_secret" (
	"tenant" text NOT NULL,
	"webhook" text NOT NULL,
	"version" integer NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone,
	CONSTRAINT "webhook_secret_tenant_webhook_version_pk" PRIMARY KEY("tenant","webhook","version")
);
--> statement-breakpoint
ALTER TABLE "webhook_secret" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE UNIQUE INDEX "alert_open" ON "alert" USING btree ("tenant","condition") WHERE resolved_at is null;--> statement-breakpoint
CREATE INDEX "alert_resolved" ON "alert" USING btree ("tenant","resolved_at");--> statement-breakpoint
CREATE UNIQUE INDEX "api_key_secret_hash" ON "api_key_secret" USING btree ("hash");--> statement-breakpoint
CREATE UNIQUE INDEX "audit_entry_id" ON "audit_entry" USING btree ("tenant","id");--> statement-breakpoint
CREATE INDEX "audit_entry_pending" ON "audit_entry" USING btree ("tenant","sequence") WHERE number is null;--> statement-breakpoint
CREATE UNIQUE INDEX "browser_session_hash" ON "browser_session" USING btree ("hash");--> statement-breakpoint
CREATE INDEX "browser_session_principal" ON "browser_session" USING btree ("tenant","principal","created_at");--> statement-breakpoint
CREATE INDEX "browser_session_expiry" ON "browser_session" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "budget_adjustment_budget" ON "budget_adjustment" USING btree ("tenant","budget","id");--> statement-breakpoint
CREATE INDEX "budget_adjustment_expiry" ON "budget_adjustment" USING btree ("expires_at") WHERE ended_at is null;--> statement-breakpoint
CREATE INDEX "budget_counter_ended" ON "budget_counter" USING btree ("window_to") WHERE carried_at is null;--> statement-breakpoint
CREATE INDEX "enrolment_token_hash" ON "enrolment_token" USING btree ("hash");--> statement-breakpoint
CREATE INDEX "enrolment_token_plane" ON "enrolment_token" USING btree ("tenant","data_plane");--> statement-breakpoint
CREATE INDEX "flight_record_id" ON "flight_record" USING btree ("tenant","id");--> statement-breakpoint
CREATE UNIQUE INDEX "flight_record_number" ON "flight_record" USING btree ("tenant","number","received_at");--> statement-breakpoint
CREATE INDEX "flight_record_pending" ON "flight_record" USING btree ("tenant","arrival","sequence") WHERE number is null;--> statement-breakpoint
CREATE INDEX "flight_record_at" ON "flight_record" USING btree ("tenant","at","id");--> statement-breakpoint
CREATE INDEX "flight_record_exhausted" ON "flight_record" USING btree ("tenant","at") WHERE refusal = 'budget_exhausted';--> statement-breakpoint
CREATE INDEX "flight_record_project" ON "flight_record" USING btree ("tenant","project","at");--> statement-breakpoint
CREATE INDEX "flight_record_api_key" ON "flight_record" USING btree ("tenant","api_key","at");--> statement-breakpoint
CREATE INDEX "idempotency_age" ON "idempotency" USING btree ("tenant","first_used_at");--> statement-breakpoint
CREATE UNIQUE INDEX "identity_once" ON "identity" USING btree ("digest");--> statement-breakpoint
CREATE INDEX "identity_principal" ON "identity" USING btree ("tenant","principal");--> statement-breakpoint
CREATE INDEX "instance_id" ON "instance" USING btree ("id");--> statement-breakpoint
CREATE INDEX "instance_plane" ON "instance" USING btree ("tenant","data_plane");--> statement-breakpoint
CREATE INDEX "lease_instance" ON "lease" USING btree ("tenant","instance");--> statement-breakpoint
CREATE INDEX "lease_open" ON "lease" USING btree ("tenant","budget","subject") WHERE granted <> returned + posted or overrun <> 0 or (rolling and aged_at is null);--> statement-breakpoint
CREATE INDEX "lease_unaged" ON "lease" USING btree ("window_to") WHERE rolling and aged_at is null;--> statement-breakpoint
CREATE INDEX "lease_exceeded" ON "lease" USING btree ("tenant") WHERE epoch > 0 and posted > granted - returned;--> statement-breakpoint
CREATE INDEX "lease_recall_instance" ON "lease_recall" USING btree ("tenant","instance");--> statement-breakpoint
CREATE INDEX "lease_recall_age" ON "lease_recall" USING btree ("until_at");--> statement-breakpoint
CREATE INDEX "ledger_entry_budget" ON "ledger_entry" USING btree ("tenant","budget","id");--> statement-breakpoint
CREATE UNIQUE INDEX "outbox_event_position" ON "outbox_event" USING btree ("tenant","number","sub");--> statement-breakpoint
CREATE INDEX "outbox_event_pending" ON "outbox_event" USING btree ("tenant","id") WHERE number is null;--> statement-breakpoint
CREATE UNIQUE INDEX "resource_name" ON "resource" USING btree ("tenant","kind","name") WHERE archived_at is null;--> statement-breakpoint
CREATE INDEX "resource_kind" ON "resource" USING btree ("tenant","kind","id");--> statement-breakpoint
CREATE INDEX "resource_revision" ON "resource" USING btree ("tenant","kind","revision");--> statement-breakpoint
CREATE INDEX "resource_reference_to" ON "resource_reference" USING btree ("tenant","to_id");--> statement-breakpoint
CREATE INDEX "spend_tick_written" ON "spend_tick" USING btree ("tenant","written_at");--> statement-breakpoint
CREATE INDEX "webhook_delivery_due" ON "webhook_delivery" USING btree ("next_at") WHERE next_at is not null;--> statement-breakpoint
CREATE INDEX "webhook_delivery_webhook" ON "webhook_delivery" USING btree ("tenant","webhook","id");--> statement-breakpoint
CREATE INDEX "webhook_delivery_age" ON "webhook_delivery" USING btree ("at");--> statement-breakpoint
CREATE POLICY "own_tenant" ON "alert" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "alert" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "api_key_secret" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "api_key_secret" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "audit_entry" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "audit_entry" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "browser_session" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "browser_session" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "budget_adjustment" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "budget_adjustment" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "budget_counter" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "budget_counter" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "budget_told" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "budget_told" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "chain_head" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "chain_head" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "credential_secret" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "credential_secret" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "enrolment_token" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "enrolment_token" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "flight_record" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "flight_record" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "idempotency" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "idempotency" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "identity" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "identity" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "instance" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "instance" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "key_delta" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "key_delta" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "lease" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "lease" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "lease_recall" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "lease_recall" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "ledger_entry" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "ledger_entry" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "ledger_recovery" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "ledger_recovery" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "limit_deal" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "limit_deal" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "log_state" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "log_state" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "model_bounds" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "model_bounds" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "outbox_event" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "outbox_event" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "provider_check" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "provider_check" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "resource" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "resource" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "resource_history" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "resource_history" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "resource_reference" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "resource_reference" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "snapshot" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "snapshot" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "snapshot_part" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "snapshot_part" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "spend_rollup" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "spend_rollup" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "spend_tick" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "spend_tick" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "tenant" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (id = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (id = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "tenant" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "webhook_delivery" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "webhook_delivery" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');--> statement-breakpoint
CREATE POLICY "own_tenant" ON "webhook_secret" AS PERMISSIVE FOR ALL TO "sluice_tenant" USING (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant') WITH CHECK (tenant = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant');--> statement-breakpoint
CREATE POLICY "installation" ON "webhook_secret" AS PERMISSIVE FOR ALL TO "sluice_installation" USING (current_user = 'sluice_installation') WITH CHECK (current_user = 'sluice_installation');