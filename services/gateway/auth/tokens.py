"""What callers show: signed access tokens, opaque refresh tokens, API keys. Only hashes of the last two are stored."""

import hashlib
import secrets
import time
from dataclasses import dataclass
from uuid import UUID, uuid4

import jwt

from services.gateway.access import Role
from services.kit.errors import Unauthorized

ALGORITHM = "HS256"
ISSUER = "modelyard"
AUDIENCE = "modelyard-gateway"
KEY_START = "my_"


@dataclass(frozen=True, slots=True)
class Claims:
    username: str
    session: UUID
    expires: float


class AccessTokens:
    def __init__(self, secret: str, minutes: int) -> None:
        self._secret = secret
        self.seconds = minutes * 60

    def issue(self, username: str, role: Role, session: UUID) -> str:
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": username, "role": role.name, "sid": str(session), "jti": uuid4().hex}
        return jwt.encode(claims | {"iat": now, "exp": now + self.seconds}, self._secret, ALGORITHM)

    def read(self, token: str) -> Claims:
        """Signature, issuer, audience and expiry; whether the session still lives is another question. Raises Unauthorized."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                options={"require": ["iss", "aud", "sub", "sid", "jti", "exp"]},
            )
            return Claims(claims["sub"], UUID(claims["sid"]), float(claims["exp"]))
        except jwt.ExpiredSignatureError:
            raise Unauthorized("The access token has expired: refresh it at /auth/refresh.") from None
        except (jwt.InvalidTokenError, ValueError):
            raise Unauthorized("The access token is not valid.") from None


def new_refresh_token() -> str:
    return secrets.token_urlsafe(32)


def new_api_key() -> tuple[str, str]:
    """The key, shown once, and its prefix, by which its owner recognises it."""
    prefix = secrets.token_hex(4)
    return f"{KEY_START}{prefix}_{secrets.token_urlsafe(32)}", prefix


def digest(token: str) -> bytes:
    """SHA-256 is enough for 256 random bits; argon2 is for what people think up."""
    return hashlib.sha256(token.encode()).digest()
