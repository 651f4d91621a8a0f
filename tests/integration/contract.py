"""docs/api held against what clients and server say to each other.

The helpers by which the tests talk to a server hand every exchange to this module: one that
openapi.yaml does not describe (path, status, header, body), and a frame or event that asyncapi.yaml
does not, is noted, and the test that saw it fails. What the server takes, the documents must allow;
what it refuses is none of their business but for the refusal.

Of what repeats by the thousand the first ones are looked at and then one in a while: the schemas take
their time.
"""

import collections
import json
import pathlib
import re
import threading
from urllib.parse import unquote, urlsplit

import jsonschema
import yaml

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs" / "api"
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Of HTTP itself, of CORS, and of an answer that comes before the end of its request's body.
ANY_HEADER = re.compile(r"date|connection|content-(length|type)|vary|access-control-\w.*")
EARLY = {"cache-control": "no-store", "x-accel-buffering": "no"}
# Before a route is found, and where none is.
UNROUTED = {400, 403, 404, 408, 413, 414, 431, 501, 503}
JSON = "application/json"
PROBLEM = "application/problem+json"
LINES = "application/x-ndjson"
FIRST, THEN_EVERY = 100, 40


def load(name):
    return yaml.load((FOLDER / name).read_text(), Loader)


def resolve(document, node):
    """The node without references, which do not go in circles here."""
    if isinstance(node, list):
        return [resolve(document, item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        found = document
        for word in node["$ref"].removeprefix("#/").split("/"):
            found = found[word.replace("~1", "/").replace("~0", "~")]
        more = {k: v for k, v in node.items() if k != "$ref"}
        return {**resolve(document, found), **resolve(document, more)}
    return {key: resolve(document, value) for key, value in node.items()}


def closed(schema):
    """The schema as the server must keep it: with no member that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: value if key in ("enum", "const", "examples", "required") else closed(value)
            for key, value in schema.items()}
    if "object" in str(schema.get("type")) and "properties" in schema:
        made["additionalProperties"] = False
    return made


def without_nulls(body):
    """As the server reads it: what is null is not there, but for a message and arguments."""
    if not isinstance(body, dict):
        return body
    plain = {k: v for k, v in body.items() if v is not None or k == "message"}
    return {k: [i for i in v if i is not None] if isinstance(v, list) and k not in ("message", "args") else v
            for k, v in plain.items()}


class Schemas:
    """Judges by schemas, each by its name; what it finds it says in one line."""

    def __init__(self):
        self.made = {}
        self.counts = collections.Counter()

    def judge(self, name, schema, value, is_closed=False):
        self.counts[name] += 1
        if self.counts[name] > FIRST and self.counts[name] % THEN_EVERY:
            return None
        if name not in self.made:
            self.made[name] = jsonschema.Draft202012Validator(closed(schema) if is_closed else schema)
        for error in self.made[name].iter_errors(value):
            where = "/".join(map(str, error.absolute_path))
            return f"{name}: {where}: {error.message[:300]}"
        return None


def is_the_librarys(status, answered):
    """A later libmicrohttpd refuses some heads with pages of its own, before we are shown them."""
    from library import refuses_by_itself  # which needs the harness, and that needs this module

    bare = "x-request-id" not in answered and "content-type" not in answered
    return status >= 400 and bare and refuses_by_itself()


class Contract:
    def __init__(self):
        self.openapi = resolve_all(load("openapi.yaml"))
        self.asyncapi = resolve_all(load("asyncapi.yaml"))
        self.paths = [(re.compile(re.sub(r"{\w+}", "([^/]+)", re.escape(path).replace(r"\{", "{")
                                         .replace(r"\}", "}"))), path)
                      for path in sorted(self.openapi["paths"], key=lambda p: p.count("{"))]
        # What the server sends where: a message's reference is #/channels/CHANNEL/messages/NAME.
        self.spoken = {tuple(ref["$ref"].split("/")[2::2])
                       for operation in self.asyncapi["operations"].values()
                       if operation["action"] == "send" for ref in operation["messages"]}
        self.schemas = Schemas()
        self.violations = []
        self.seen = set()  # (operationId, status), and (channel, message)
        self.lock = threading.Lock()

    def take_violations(self):
        with self.lock:
            found, self.violations = self.violations, []
        return found

    def note(self, text):
        with self.lock:
            if text and text not in self.violations:
                self.violations.append(text)

    def check(self, name, schema, value, is_closed=False):
        """is_closed: it is the server's, and has no member that the schema does not name."""
        with self.lock:
            found = self.schemas.judge(name, schema, value, is_closed)
        self.note(found)

    # ---- HTTP ----

    def find(self, method, target):
        """(path item, operation) of this request; None for what is not there."""
        words = urlsplit(target if target.startswith("/") else "/" + target.partition("//")[2]
                         .partition("/")[2]).path
        for pattern, path in self.paths:
            if pattern.fullmatch(words):
                item = self.openapi["paths"][path]
                wanted = {"HEAD": "get"}.get(method, method.lower() if method.isupper() else "")
                if wanted in item:
                    return item, item[wanted]
        return next(((self.openapi["paths"][path], None) for pattern, path in self.paths
                     if pattern.fullmatch(words)), (None, None))

    def exchange(self, method, target, headers, body, status, answered, content):
        """One request and its answer. headers: of the request; answered: of the answer, names in
        lower case; content: None where it was not read."""
        if "server" in answered:  # Pushwire does not say so: an answer by or through a proxy
            return
        if is_the_librarys(status, answered):
            return
        item, operation = self.find(method, target)
        name = f"{method} {target[:80]} -> {status}"
        if operation is None:
            self.judge_unrouted(name, method, item, status, answered, content)
            return
        name = f"{operation['operationId']} -> {status}"
        with self.lock:
            self.seen.add((operation["operationId"], status))
        response = operation["responses"].get(str(status))
        if method == "HEAD" and status == 405 or response is None:
            if status != 408:
                self.note(f"{name}: this status is not in openapi.yaml: {content and content[:200]}")
            return
        self.judge_answer(name, response, status, answered,
                          None if method == "HEAD" else content)
        if status < 300:
            self.judge_request(name, item, operation, target, headers, body, content)

    def judge_unrouted(self, name, method, item, status, answered, content):
        if method == "OPTIONS" and status == 204:
            return
        if item and status == 405:
            there = {verb.upper() for verb in item if verb in ("get", "post", "delete")}
            allowed = set(answered.get("allow", "").split(", ")) - {"HEAD"}
            if there - allowed:
                self.note(f"{name}: Allow is {allowed}, openapi.yaml has {there}")
        elif not (status in UNROUTED and (status != 404 or not item)):
            self.note(f"{name}: this is not in openapi.yaml")
        self.judge_problem(name, status, answered, content)

    def judge_problem(self, name, status, answered, content):
        if content and answered.get("content-type") == PROBLEM:
            self.check("Problem", self.openapi["components"]["schemas"]["Problem"],
                       json.loads(content), is_closed=True)
        elif content and status >= 400 and not content.startswith(b"<html>"):  # libmicrohttpd's own
            self.note(f"{name}: this is no problem: {content[:100]}")

    def judge_answer(self, name, response, status, answered, content):
        declared = {header.lower(): it for header, it in response.get("headers", {}).items()}
        for header, value in answered.items():
            if header in declared:
                self.check(f"{name} {header}", declared[header].get("schema", {}), value)
            elif not (ANY_HEADER.fullmatch(header) or
                      status >= 400 and EARLY.get(header) == value):
                self.note(f"{name}: the header {header}: {value} is not in openapi.yaml")
        for header, it in declared.items():
            if it.get("required") and header not in answered:
                self.note(f"{name}: the header {header} is not there")
        kind = answered.get("content-type", "").partition(";")[0]
        kinds = response.get("content", {})
        if (kind or status >= 200) and kind not in kinds and (kinds or content):
            self.note(f"{name}: the type {kind} is not in openapi.yaml")
        elif content is not None and kinds:
            self.judge_content(name, kind, kinds[kind]["schema"], content)

    def judge_content(self, name, kind, schema, content):
        if kind in (JSON, PROBLEM):
            self.check(name, schema, json.loads(content), is_closed=True)
        elif kind == LINES:
            for line in content.splitlines()[:FIRST]:
                self.check(name, schema, json.loads(line), is_closed=True)

    def judge_request(self, name, item, operation, target, headers, body, content):
        query = [pair.partition("=")[::2] for pair in urlsplit(target).query.split("&") if pair]
        for parameter in item.get("parameters", []) + operation.get("parameters", []):
            if parameter["in"] == "query":
                values = [unquote(value.replace("+", " ")) for key, value in query
                          if unquote(key) == parameter["name"]]
            else:
                values = [headers[key] for key in headers if key.lower() == parameter["name"].lower()
                          and parameter["in"] == "header"]
            if values and parameter["name"] != "X-Request-Id":
                self.judge_parameter(f"{name} {parameter['name']}", parameter, values)
        kinds = operation.get("requestBody", {}).get("content")
        if kinds and LINES in kinds:
            self.judge_lines(name, kinds[LINES]["schema"], body, content)
        elif kinds and body:
            self.check(f"{name} request", kinds[JSON]["schema"], without_nulls(json.loads(body)))

    def judge_parameter(self, name, parameter, values):
        schema = parameter["schema"]
        if schema.get("type") == "array":
            value = values if parameter["explode"] else [n for n in values[0].split(",") if n]
        elif schema.get("type") == "integer" and values[0].isdigit():
            value = int(values[0])
        else:
            value = values[0]
        self.check(name, schema, value)

    def judge_lines(self, name, schema, body, content):
        lines = [line for line in (body or b"").splitlines() if line.strip()]
        for line, result in list(zip(lines, (content or b"").splitlines()))[:FIRST]:
            if b'"Message sent"' in result:
                self.check(f"{name} request", schema, without_nulls(json.loads(line)))

    # ---- frames and events ----

    def said(self, channel, message, value, headers=None):
        """The server said this there."""
        messages = self.asyncapi["channels"][channel]["messages"]
        if (channel, message) not in self.spoken:
            self.note(f"{channel}: {message} is not in asyncapi.yaml: {str(value)[:200]}")
            return
        with self.lock:
            self.seen.add((channel, message))
        self.check(f"{channel}/{message}", messages[message]["payload"], value, is_closed=True)
        if headers is not None:
            self.check(f"{channel}/{message} fields", messages[message]["headers"], headers,
                       is_closed=True)

    def taken(self, message, frame):
        """A client of a JSON session said this, and it was served."""
        payload = self.asyncapi["channels"]["session"]["messages"][message]["payload"]
        with self.lock:
            self.seen.add(("session", message))
        self.check(f"session/{message}", payload, without_nulls(frame))


def resolve_all(document):
    """The document with its references resolved, but for those that AsyncAPI's operations are made
    of: they say which message of which channel."""
    made = {key: resolve(document, value) for key, value in document.items() if key != "operations"}
    if "operations" in document:
        made["operations"] = document["operations"]
    return made


CONTRACT = Contract()

# What answers what, where all is well.
ANSWERS = {"pong": "ping", "subscribed": "subscribe", "unsubscribed": "unsubscribe",
           "sent": "send", "renewed": "auth", "welcome": "auth"}


class Conversation:
    """What goes over one WebSocket, as text."""

    def __init__(self, path, protocol=None):
        words, _, query = path.partition("?")
        first = words.split("/")[1]
        self.channel = {"ws": "session" if words.count("/") == 2 else "lobby", "rooms": "room",
                        "ws-echo": "echo", "": "root"}.get(first)
        is_json = protocol == "pushwire.v1.json" or not protocol and "format=json" in query.split("&")
        if self.channel == "session" and not is_json:
            self.channel = "textSession"
        self.asked = collections.defaultdict(list)  # what the client said and nobody answered yet

    def heard(self, text):
        if self.channel == "session":
            frame = json.loads(text)
            CONTRACT.said("session", frame["type"], frame)
            if frame["type"] == "error":
                self.asked.clear()
            waiting = self.asked[ANSWERS.get(frame["type"])]
            if waiting:
                CONTRACT.taken(ANSWERS[frame["type"]], waiting.pop(0))
        elif self.channel:
            name = {"textSession": "line", "room": "heard"}.get(self.channel, "said")
            CONTRACT.said(self.channel, name, text)

    def spoke(self, text):
        """The client said this."""
        if self.channel == "session":
            try:
                frame = json.loads(text)
            except (ValueError, RecursionError):
                return
            if isinstance(frame, dict) and frame.get("type") in ANSWERS.values():
                self.asked[frame["type"]].append(frame)
