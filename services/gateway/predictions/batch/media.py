"""Which form a body has and which form the answer shall have."""

from enum import StrEnum

from services.kit.errors import NotAcceptable, UnsupportedMedia


class Form(StrEnum):
    json = "application/json"
    ndjson = "application/x-ndjson"
    csv = "text/csv"
    parquet = "application/vnd.apache.parquet"


REQUESTS = {form.value: form for form in Form} | {"application/jsonl": Form.ndjson}
ANSWERS = {media: form for media, form in REQUESTS.items() if form is not Form.parquet}
CODINGS = ("gzip", "zstd")


def form_of_request(content_type: str) -> Form:
    """Raises UnsupportedMedia with the list of what is understood."""
    media, _, parameters = content_type.lower().partition(";")
    form = REQUESTS.get(media.strip())
    if form is None:
        raise UnsupportedMedia(f"Content-Type must be one of {', '.join(REQUESTS)}, not {media.strip() or 'absent'}.")
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMedia(f"The charset must be utf-8, not {value}.")
    return form


def form_of_answer(accept: str | None, request: Form) -> Form:
    """What the caller likes best, the earlier one of equals; without a wish the form of the request, JSON for Parquet. Raises NotAcceptable."""
    own = Form.json if request is Form.parquet else request
    wishes = sorted(_weighted(accept or "*/*"), key=lambda wish: -wish[1])
    for media, weight in wishes:
        if weight <= 0:
            break
        if media == "*/*" or (media.endswith("/*") and own.startswith(media[:-1])):
            return own
        if media in ANSWERS:
            return ANSWERS[media]
        if media.endswith("/*") and (found := next((form for name, form in ANSWERS.items() if name.startswith(media[:-1])), None)):
            return found
    raise NotAcceptable(f"Accept must allow one of {', '.join(ANSWERS)}.")


def coding_of_request(content_encoding: str) -> str | None:
    """Raises UnsupportedMedia, saying in Accept-Encoding what is understood."""
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in CODINGS:
        raise UnsupportedMedia(f"Content-Encoding must be one of {', '.join(CODINGS)}, not {coding}.", headers={"Accept-Encoding": ", ".join(CODINGS)})
    return coding


def coding_of_answer(accept_encoding: str | None) -> str | None:
    """None: as it is. zstd before gzip where both are liked as much, because it is several times faster."""
    if not accept_encoding:
        return None
    liked = dict(_weighted(accept_encoding))
    weights = {coding: liked.get(coding, liked.get("*", 0.0)) for coding in ("zstd", "gzip")}
    best = max(weights, key=lambda coding: weights[coding])
    return best if weights[best] > 0 and weights[best] >= liked.get("identity", 0.0) else None


def _weighted(header: str) -> list[tuple[str, float]]:
    """A list of RFC 9110, 12.5, with the q of each member; a malformed q counts 0."""
    members = []
    for member in header.lower().split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        if name:
            members.append((name, weight))
    return members
