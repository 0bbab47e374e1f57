-- What whoever asked for a call wants to be told again stands in every message about it.

CREATE OR REPLACE FUNCTION outbox_call(p_call calls) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'request_id', p_call.request_id, 'account', p_call.account, 'flow', p_call.flow, 'direction', p_call.direction,
        'campaign_id', p_call.campaign_id, 'agent_number', p_call.params -> 'agent_number',
        'customer_number', p_call.params -> 'customer_number', 'caller_id', p_call.params -> 'caller_id')
        || CASE WHEN p_call.params ? 'meta_data' THEN jsonb_build_object('meta_data', p_call.params -> 'meta_data') ELSE '{}' END
$$;
