"""The model of a call, pure: no clock, no network, no database. Events go in, states and records come out."""
