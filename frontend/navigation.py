"""Which pages there are, in which order, and the least role that each is for. What a page asks for, the gateway checks once more."""

from dataclasses import dataclass

ROLES = ("viewer", "analyst", "engineer", "admin")
"""Each may do all that the ones before it may."""


@dataclass(frozen=True)
class Entry:
    name: str
    """Of its file in app_pages, and its path in the address."""
    title: str
    icon: str
    role: str
    words: str
    """What one does there; Home shows it."""
    section: str = ""

    @property
    def file(self) -> str:
        return f"app_pages/{self.name}.py"


PAGES = (
    Entry("home", "Home", ":material/home:", "viewer", "The state of the platform, and what you can do here."),
    Entry(
        "predict",
        "Predict",
        ":material/psychology:",
        "viewer",
        "Ask a model about one case, see why it answers as it does, and try what would change it.",
        "Answers",
    ),
    Entry("batch", "Batch", ":material/table_rows:", "analyst", "Upload a CSV, get an answer for each row, with a summary to hand on.", "Answers"),
    Entry("history", "History", ":material/history:", "viewer", "Find an earlier answer, see what it was made of, and record what really happened.", "Answers"),
    Entry(
        "crypto",
        "Crypto",
        ":material/candlestick_chart:",
        "viewer",
        "Follow prices, the forecast for the next candle, and how good the last ones were.",
        "Answers",
    ),
    Entry("models", "Models", ":material/deployed_code:", "viewer", "Compare versions, see which one serves and who decided it.", "Operations"),
    Entry("training", "Training", ":material/model_training:", "analyst", "Start a run, watch its steps, read its log.", "Operations"),
    Entry("monitoring", "Monitoring", ":material/monitoring:", "analyst", "Traffic, latency, live quality and drift of each model.", "Operations"),
    Entry("status", "Status", ":material/health_and_safety:", "viewer", "Which parts of the platform answer, and what that means.", "Platform"),
    Entry("account", "Account", ":material/account_circle:", "viewer", "Your password, your API keys, your session.", "Platform"),
    Entry("administration", "Administration", ":material/manage_accounts:", "admin", "Accounts and their roles.", "Platform"),
    Entry("create_user", "Create user", ":material/person_add:", "admin", "Make an account for somebody.", "Platform"),
)


def may(role: str, least: str) -> bool:
    return role in ROLES and ROLES.index(role) >= ROLES.index(least)


def visible(role: str) -> list[Entry]:
    return [entry for entry in PAGES if may(role, entry.role)]


def entry(name: str) -> Entry:
    return next(one for one in PAGES if one.name == name)
