"""A stored conversation: a tree of messages, of which one branch is a chat (chatgpt-web reference, section 3.7)."""

from collections.abc import Iterator
from typing import Any

from core.wire.chatgpt_web.document import leaf as at

Node = dict[str, Any]


def answer(tree: Any) -> list[Node]:
    """Return the messages of the newest answer on the current branch, oldest first."""
    messages: list[Node] = []
    for message in _upwards(tree, tree.get("current_node") if isinstance(tree, dict) else None):
        if _role(message) == "user":
            break
        messages.append(message)
    return messages[::-1]


def beside_answer(tree: Any) -> list[Node]:
    """Return the tools' messages below the newest question that are not on the current branch.

    A picture that is made after its turn may come to stand there (section 6: it is looked for in the whole mapping).
    """
    on_branch: set[str] = set()
    for node_id, node in _nodes_upwards(tree, tree.get("current_node") if isinstance(tree, dict) else None):
        if _role(node.get("message")) == "user":
            below = _below(_mapping(tree), node_id)
            return [message for name, message in below if name not in on_branch and _role(message) == "tool"]
        on_branch.add(node_id)
    return []


def question_texts(tree: Any) -> tuple[str, ...]:
    """Return the texts of the user's messages that the newest answer on the current branch answers, oldest first."""
    texts: list[str] = []
    for message in _upwards(tree, tree.get("current_node") if isinstance(tree, dict) else None):
        if _role(message) == "user" and not at(message, "/metadata/is_visually_hidden_from_conversation"):
            parts = at(message, "/content/parts")
            texts.append("".join(part for part in parts if isinstance(part, str)) if isinstance(parts, list) else "")
        elif texts and _role(message) == "assistant":
            break
    return tuple(reversed(texts))


def end_of_turn(tree: Any, message_id: str) -> str | None:
    """Return the id of the last message of the turn that `message_id` is in, None when the tree does not have it."""
    mapping = _mapping(tree)
    if not isinstance(mapping.get(message_id), dict):
        return None
    seen = {message_id}
    while following := _following(mapping, message_id):
        if following in seen:
            break
        seen.add(following)
        message_id = following
    return message_id


def _following(mapping: Node, node_id: str) -> str | None:
    node = mapping.get(node_id)
    children = node.get("children") if isinstance(node, dict) else None
    newest = children[-1] if isinstance(children, list) and children else None
    child = mapping.get(newest) if isinstance(newest, str) else None
    message = child.get("message") if isinstance(child, dict) else None
    return newest if isinstance(message, dict) and _role(message) != "user" else None


def _upwards(tree: Any, node_id: Any) -> Iterator[Node]:
    """Yield the messages from a node to the root."""
    for _, node in _nodes_upwards(tree, node_id):
        if isinstance(message := node.get("message"), dict):
            yield message


def _nodes_upwards(tree: Any, node_id: Any) -> Iterator[tuple[str, Node]]:
    """Yield the nodes, with their ids, from a node to the root."""
    mapping = _mapping(tree)
    seen: set[str] = set()
    while isinstance(node_id, str) and node_id not in seen:
        seen.add(node_id)
        node = mapping.get(node_id)
        if not isinstance(node, dict):
            return
        yield node_id, node
        node_id = node.get("parent")


def _below(mapping: Node, node_id: str) -> Iterator[tuple[str, Node]]:
    """Yield the messages under a node, with the ids of their nodes, level by level."""
    names = [node_id]
    seen = set(names)
    for name in names:
        node = mapping.get(name)
        if not isinstance(node, dict):
            continue
        if name != node_id and isinstance(message := node.get("message"), dict):
            yield name, message
        children = node.get("children")
        new = [child for child in children if isinstance(child, str)] if isinstance(children, list) else []
        names += (child for child in dict.fromkeys(new) if child not in seen)
        seen.update(new)


def _mapping(tree: Any) -> Node:
    mapping = tree.get("mapping") if isinstance(tree, dict) else None
    return mapping if isinstance(mapping, dict) else {}


def _role(message: Any) -> Any:
    return at({"message": message}, "/message/author/role")
