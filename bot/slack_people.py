"""What Slack tells about the people who talk to us: language, bot or not, guest or not. Kept for minutes, in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError

from bot.recent import Recent
from bot.slack_workspaces import Workspace

KEPT = 600.0
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """A user of Slack.

    Attributes:
        language: IETF tag; None when Slack does not tell.
        is_bot: it is a program.
        is_member: a full member of the workspace that asks, no guest and nobody of another workspace.
        photo: address of the profile photo; None for one of Slack's own drawings.
    """

    language: str | None = None
    is_bot: bool = False
    is_member: bool = True
    photo: str | None = None


class People:
    """Asks Slack, and remembers the answer for a while."""

    def __init__(self) -> None:
        self._known = Recent[tuple[str, str], Person](REMEMBERED, KEPT)

    async def find(self, workspace: Workspace, user: str) -> Person:
        """Return who a user is.

        Raises:
            SlackApiError, aiohttp.ClientError, TimeoutError: Slack does not tell.
        """
        key = workspace.team, user
        person = self._known.get(key)
        if person is None:
            response = await workspace.client.users_info(user=user, include_locale=True)
            person = _person(response["user"], workspace.team)
            self._known.keep(key, person)
        return person

    async def find_or_unknown(self, workspace: Workspace, user: str) -> Person:
        """Return who a user is, or nobody in particular where Slack does not tell."""
        try:
            return await self.find(workspace, user)
        except (SlackApiError, aiohttp.ClientError, TimeoutError):
            return Person(is_member=False)

    def forget(self, team: str) -> None:
        """Forget the people of a workspace."""
        self._known.forget(lambda key: key[0] == team)


def _person(user: dict[str, Any], team: str) -> Person:
    organisation = user.get("enterprise_user", {})
    teams = [user.get("team_id", team), organisation.get("enterprise_id"), *organisation.get("teams", ())]
    profile = user.get("profile", {})
    is_guest = bool(user.get("is_restricted") or user.get("is_ultra_restricted"))
    return Person(
        language=user.get("locale"),
        is_bot=bool(user.get("is_bot")),
        is_member=not is_guest and team in teams,
        photo=(profile.get("image_1024") or profile.get("image_512")) if profile.get("image_original") else None,
    )
