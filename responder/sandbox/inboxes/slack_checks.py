"""What Slack accepts as blocks and metadata, as far as it says so. Pure; used by the Slack inbox.

Source: https://docs.slack.dev/reference/block-kit
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_BLOCKS = 50
# All blocks of a message together, as JSON; undocumented, measured by others.
# Source: https://github.com/slackapi/bolt-js/issues/2509
MAX_BLOCKS_TEXT = 13_200

_TEXT_KEYS = {"plain_text": {"type", "text", "emoji"}, "mrkdwn": {"type", "text", "verbatim"}}
_BLOCK_KEYS = {
    "header": {"text"},
    "section": {"text", "fields", "accessory", "expand"},
    "context": {"elements"},
    "actions": {"elements"},
    "divider": set[str](),
}
_BUTTON_KEYS = {"type", "text", "action_id", "value", "url", "style", "confirm", "accessibility_label"}
_CONFIRM_KEYS = {"title", "text", "confirm", "deny", "style"}


def check_blocks(blocks: object) -> list[str]:
    """What is wrong with a message's blocks, each with a JSON pointer; empty when nothing is."""
    if not isinstance(blocks, list):
        return ["must provide an array [json-pointer:/blocks]"]
    checker = _Checker()
    if len(blocks) > MAX_BLOCKS:
        checker.problem(f"no more than {MAX_BLOCKS} items allowed", "/blocks")
    for index, block in enumerate(blocks):
        checker.check_block(block, f"/blocks/{index}")
    return checker.problems


def check_metadata(metadata: object) -> bool:
    """Whether metadata has the shape {event_type, event_payload}."""
    return (
        isinstance(metadata, dict)
        and isinstance(metadata.get("event_type"), str)
        and bool(metadata["event_type"])
        and isinstance(metadata.get("event_payload"), dict)
    )


class _Checker:
    """Collects the problems of one message."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._block_ids: set[str] = set()
        self._action_ids: set[str] = set()

    def problem(self, text: str, pointer: str) -> None:
        self.problems.append(f"{text} [json-pointer:{pointer}]")

    def check_block(self, block: object, at: str) -> None:
        if not isinstance(block, dict):
            self.problem("must be an object", at)
            return
        kind = block.get("type")
        if kind not in _BLOCK_KEYS:
            self.problem(f"unsupported type: {kind}", f"{at}/type")
            return
        self._check_keys(block, _BLOCK_KEYS[kind] | {"type", "block_id"}, at)
        if "block_id" in block:
            self._check_id(block["block_id"], self._block_ids, "block_id", f"{at}/block_id")
        match kind:
            case "header":
                self._check_text(block.get("text"), f"{at}/text", 150, ("plain_text",))
            case "section":
                self._check_section(block, at)
            case "context":
                for element, where in self._elements(block, at, 10):
                    self._check_text(element, where, 3000)
            case "actions":
                for element, where in self._elements(block, at, 25):
                    self._check_button(element, where)

    def _check_section(self, block: Mapping[str, Any], at: str) -> None:
        if "text" not in block and "fields" not in block:
            self.problem("must define either text or fields", at)
        if "text" in block:
            self._check_text(block["text"], f"{at}/text", 3000)
        fields = block.get("fields", [])
        if not isinstance(fields, list) or len(fields) > 10:
            self.problem("no more than 10 items allowed", f"{at}/fields")
            return
        for index, field in enumerate(fields):
            self._check_text(field, f"{at}/fields/{index}", 2000)
        if "accessory" in block:
            self._check_button(block["accessory"], f"{at}/accessory")

    def _elements(self, block: Mapping[str, Any], at: str, limit: int) -> list[tuple[object, str]]:
        elements = block.get("elements")
        if not isinstance(elements, list) or not elements:
            self.problem("must have at least 1 item", f"{at}/elements")
            return []
        if len(elements) > limit:
            self.problem(f"no more than {limit} items allowed", f"{at}/elements")
        return [(element, f"{at}/elements/{index}") for index, element in enumerate(elements)]

    def _check_button(self, element: object, at: str) -> None:
        if not isinstance(element, dict) or element.get("type") != "button":
            self.problem("unsupported type: the inbox knows buttons only", at)
            return
        self._check_keys(element, _BUTTON_KEYS, at)
        self._check_text(element.get("text"), f"{at}/text", 75, ("plain_text",))
        self._check_id(element.get("action_id"), self._action_ids, "action_id", f"{at}/action_id")
        self._check_string(element.get("value", ""), f"{at}/value", 2000)
        self._check_string(element.get("url", ""), f"{at}/url", 3000)
        if element.get("style", "primary") not in ("primary", "danger"):
            self.problem("must be one of: primary, danger", f"{at}/style")
        if "confirm" in element:
            self._check_confirm(element["confirm"], f"{at}/confirm")

    def _check_confirm(self, confirm: object, at: str) -> None:
        if not isinstance(confirm, dict):
            self.problem("must be an object", at)
            return
        self._check_keys(confirm, _CONFIRM_KEYS, at)
        self._check_text(confirm.get("text"), f"{at}/text", 300)
        for key, limit in (("title", 100), ("confirm", 30), ("deny", 30)):
            self._check_text(confirm.get(key), f"{at}/{key}", limit, ("plain_text",))

    def _check_text(
        self, text: object, at: str, limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")
    ) -> None:
        if not isinstance(text, dict) or text.get("type") not in kinds:
            self.problem(f"must be a text object of type {' or '.join(kinds)}", at)
            return
        self._check_keys(text, _TEXT_KEYS[text["type"]], at)
        if not text.get("text"):
            self.problem("must be more than 0 characters", f"{at}/text")
        self._check_string(text.get("text"), f"{at}/text", limit)

    def _check_string(self, value: object, at: str, limit: int) -> None:
        if not isinstance(value, str):
            self.problem("must be a string", at)
        elif len(value) > limit:
            self.problem(f"must be less than {limit + 1} characters", at)

    def _check_id(self, value: object, taken: set[str], name: str, at: str) -> None:
        self._check_string(value, at, 255)
        if not isinstance(value, str) or not value:
            self.problem(f"{name} is required here", at)
        elif value in taken:
            self.problem(f"{name} `{value}` already exists", at)
        else:
            taken.add(value)

    def _check_keys(self, given: Mapping[str, Any], known: set[str], at: str) -> None:
        for key in given.keys() - known:
            self.problem(f"invalid additional property: {key}", at)
