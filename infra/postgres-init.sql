-- Prefect's own migrations need it and may not create it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
