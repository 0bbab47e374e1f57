import random

from engine import ids

KEY = b"0123456789abcdef"


def test_request_ids_are_unique_and_well_formed():
    numbers = [*range(5000), *random.Random(1).sample(range(1 << 40), 5000)]
    made = {ids.scramble(number, KEY) for number in set(numbers)}
    assert len(made) == len(set(numbers))
    assert all(ids.is_request_id(request_id) for request_id in made)


def test_another_key_gives_other_ids():
    assert ids.scramble(7, KEY) != ids.scramble(7, KEY[::-1])


def test_every_id_of_ours_names_its_request():
    request_id = ids.scramble(42, KEY)
    channel = ids.channel_id(request_id, 12)
    for made in (
        channel, ids.bridge_id(request_id), ids.playback_id(request_id), ids.snoop_id(channel), ids.recording_id(channel)
    ):  # fmt: skip
        assert ids.request_of(made) == request_id


def test_what_asterisk_named_is_not_ours():
    assert ids.request_of("1688710079.868") is None
    assert ids.request_of("tl-57362de4f0") is None


def test_leg_ids_survive_a_restart():
    assert ids.leg_id("57362de4f0", 1) == ids.leg_id("57362de4f0", 1) != ids.leg_id("57362de4f0", 2)
