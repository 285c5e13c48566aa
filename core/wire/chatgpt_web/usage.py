"""What the service says about an account's plan and limits (chatgpt-web reference, section 1.6); all is optional."""

from msgspec import Struct, json

CHECK_PATH = "/accounts/check/v4-2023-04-27?timezone_offset_min=0"
INIT_PATH = "/conversation/init"
INIT_BODY = json.encode(
    {"gizmo_id": None, "requested_default_model": None, "conversation_id": None, "timezone_offset_min": 0}
)


class Entitlement(Struct, frozen=True):
    subscription_plan: str | None = None
    has_active_subscription: bool | None = None
    expires_at: str | None = None
    renews_at: str | None = None


class Plan(Struct, frozen=True):
    plan_type: str | None = None


class AccountEntry(Struct, frozen=True):
    account: Plan | None = None
    entitlement: Entitlement | None = None


class Check(Struct, frozen=True):
    """The answer of `accounts/check`. A key `default` may repeat the account that acts when none is asked for."""

    accounts: dict[str, AccountEntry]
    account_ordering: list[str] = []

    def entry(self, workspace: str | None) -> AccountEntry | None:
        """Return what is said of a workspace; of the default one when none is named."""
        names = (workspace,) if workspace else ("default", *self.account_ordering[:1])
        return next((self.accounts[name] for name in names if name in self.accounts), None)


class Progress(Struct, frozen=True):
    feature_name: str
    remaining: int | None = None
    reset_after: str | None = None


class Init(Struct, frozen=True):
    """The answer of `conversation/init`, as far as it tells limits. Lists of unknown shape stay what they are."""

    limits_progress: list[Progress] | None = None
    model_limits: list[object] | None = None
    blocked_features: list[object] | None = None
