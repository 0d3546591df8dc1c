"""What the auth endpoints take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.gateway.numbers import WHOLE
from services.gateway.settings import MIN_PASSWORD

RoleName = Literal["viewer", "analyst", "engineer", "admin"]
Username = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,62}$", description="Small letters, digits, dot, hyphen and underscore; 2 to 63 of them.")]
NewPassword = Annotated[SecretStr, Field(min_length=MIN_PASSWORD, max_length=256)]
GivenPassword = Annotated[SecretStr, Field(min_length=1, max_length=256)]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Login(Request):
    username: Annotated[str, Field(max_length=63)]
    password: GivenPassword


class Refresh(Request):
    refresh_token: SecretStr = Field(max_length=128)


class Tokens(BaseModel):
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds until the access token expires.")
    username: str
    role: RoleName


class Signup(Request):
    username: Username
    password: NewPassword
    role: RoleName = "viewer"


class PasswordChange(Request):
    current_password: GivenPassword
    new_password: NewPassword


class RoleChange(Request):
    role: RoleName


class ActiveChange(Request):
    active: bool = Field(description="False shuts the user out at once and keeps the account.")


class User(BaseModel):
    username: str
    role: RoleName
    active: bool
    created_at: datetime


class Users(BaseModel):
    users: list[User]
    next: str | None = Field(description="Cursor of the next page.")


class NewApiKey(Request):
    name: str = Field(min_length=1, max_length=80, description="What the key is for.")
    expires_in_days: Annotated[int, Field(ge=1, le=3650), WHOLE] | None = Field(None, description="Never, when absent.")


class ApiKey(BaseModel):
    id: UUID
    name: str
    prefix: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class ApiKeys(BaseModel):
    api_keys: list[ApiKey]
    next: UUID | None = Field(description="Cursor of the next page.")


class CreatedApiKey(ApiKey):
    key: str = Field(description="Shown this once: send it as X-API-Key, or as a Bearer token.")
