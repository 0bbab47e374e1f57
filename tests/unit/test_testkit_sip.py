"""The test phone's SIP: messages and digests, against RFC 3261 and RFC 2617."""

from engine.testkit import sip

INVITE = (
    b"INVITE sip:101@127.0.0.1:40000 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKa\r\n"
    b"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKb\r\nf: <sip:15168148111@127.0.0.1>;tag=abc\r\n"
    b"To: <sip:101@127.0.0.1>\r\ni: call-1\r\nCSeq: 7 INVITE\r\nm: <sip:asterisk@127.0.0.1:5060>\r\n"
    b"l: 4\r\n\r\nv=0\n"
)


def test_compact_and_repeated_headers():
    message = sip.parse(INVITE)
    assert message["call-id"] == "call-1"
    assert (message.method, message.cseq, message.uri) == ("INVITE", 7, "sip:101@127.0.0.1:40000")
    assert len(message.all("via")) == 2
    assert sip.user_of(message["from"]) == "15168148111"
    assert sip.uri_of(message["contact"]) == "sip:asterisk@127.0.0.1:5060"


def test_an_answer_goes_the_way_back_with_our_tag():
    reply = sip.parse(sip.answer(sip.parse(INVITE), 486, "Busy Here", tag="mine").encode())
    assert reply.is_response
    assert (reply.status, reply.method) == (486, "INVITE")
    assert reply.all("via") == sip.parse(INVITE).all("via")
    assert sip.tag_of(reply["to"]) == "mine"


def test_what_is_no_sip_is_none():
    assert sip.parse(b"\r\n\r\n") is None


def test_digest_as_in_rfc_2617_without_qop():
    """RFC 2069's form of the example of RFC 2617 §3.5."""
    challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc"'
    word = sip.credentials(challenge, user="Mufasa", password="Circle Of Life", method="GET", uri="/dir/index.html")
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in word
    assert 'opaque="5ccc"' in word


def test_media_address_of_a_description():
    assert sip.media_address(sip.session_description("127.0.0.1", 4004)) == ("127.0.0.1", 4004)
    assert sip.media_address("v=0\r\n") is None
