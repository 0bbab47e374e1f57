"""Conference rooms: how somebody comes in, stays, and leaves. Each member is a call of its own; the room is what they
share (``engine.sessions.rooms``)."""
