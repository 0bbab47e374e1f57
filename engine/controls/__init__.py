"""What can be done to a live call from outside, one file a group: a coroutine that takes the session and the order.

It returns what the answer holds beside the call, and raises a RequestError for what can't be done; TelephonyError is
translated by the inbox. An effect that is there before the coroutine ends is told by ``order.settle``.
"""
