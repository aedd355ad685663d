"""What a look was fed, as text: kept beside the look, so that it can be judged again."""

import msgspec

from timonel.experiments.judging.evidence import Evidence

_decoder = msgspec.json.Decoder(Evidence)


def encode_evidence(evidence: Evidence) -> str:
    """Give the JSON text; exact, and in the order of counting, which sums of floats follow."""
    return msgspec.json.encode(evidence).decode()


def decode_evidence(text: str) -> Evidence:
    """Read it back; raises ``msgspec.DecodeError`` (or its ``ValidationError``) on another form."""
    return _decoder.decode(text)
