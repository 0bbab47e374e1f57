"""What a flow can do, one verb a file: a coroutine that takes the session first, and a result.

What people do (hang up, do not answer) is a result. Exceptions mean that we or Asterisk failed, or that the gate said no.
A verb whose outcome is in the log already, because the flow was entered again after a restart, returns it at once.
"""
