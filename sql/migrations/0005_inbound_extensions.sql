-- A number that a trunk brings may lead to a phone: kind `extension`, whose target is the extension.
ALTER TABLE routes DROP CONSTRAINT routes_check;
ALTER TABLE routes ADD CONSTRAINT routes_kind_of_direction CHECK (
    kind = ANY (CASE direction WHEN 'outbound' THEN ARRAY['trunk', 'extension', 'deny'] ELSE ARRAY['flow', 'extension'] END)
);
ALTER TABLE routes ADD CONSTRAINT routes_inbound_extension CHECK (
    direction = 'outbound' OR kind <> 'extension' OR target ~ '^[0-9]{3,6}$'
);
