"""One person's way through the release, and its trace as Jaeger gives it back."""

import json
import os
import time
from urllib.parse import quote

from cluster import ROOT, eventually, http, run

USHER = os.environ.get("USHER_BINARY", ROOT / "target/debug/usher")

ACCOUNT_CREATED = "accounts.v1.account_created"
ACCOUNT_VERIFIED = "verification.v1.account_verified"

# (service, span) of a parent and of its child, from the call to the mail server: every arrow of ARCHITECTURE's drawing.
SIGN_UP = [
    (("accounts", "usher.accounts.v1.AccountsService/CreateAccount"), ("accounts", f"create {ACCOUNT_CREATED}")),
    (("accounts", f"create {ACCOUNT_CREATED}"), ("accounts", f"publish {ACCOUNT_CREATED}")),
    (("accounts", f"create {ACCOUNT_CREATED}"), ("verification", f"process {ACCOUNT_CREATED}")),
    (("verification", f"process {ACCOUNT_CREATED}"), ("verification", "deliver")),
    (("verification", "deliver"), ("mailer", "deliver")),
    (("mailer", "deliver"), ("mailer", "smtp send")),
]
# And from the typed code to the account.
CONFIRMATION = [
    (("verification", "usher.verification.v1.VerificationService/ConfirmCode"), ("verification", f"create {ACCOUNT_VERIFIED}")),
    (("verification", f"create {ACCOUNT_VERIFIED}"), ("verification", f"publish {ACCOUNT_VERIFIED}")),
    (("verification", f"create {ACCOUNT_VERIFIED}"), ("accounts", f"process {ACCOUNT_VERIFIED}")),
]


def usher(*arguments):
    """What the command answers, as JSON."""
    return json.loads(run(USHER, *arguments, "--output", "json"))


def mail_to(address, mailbox_url):
    """The mail that arrived for an address, opened."""

    def look():
        status, body = http(f"{mailbox_url}/api/v1/mails?to={quote(address)}")
        mails = json.loads(body)["mails"] if status == 200 else []
        return mails and json.loads(http(f"{mailbox_url}/api/v1/mails/{mails[0]['id']}")[1])

    return eventually(f"the mail to {address}", look)


def code_in(mail):
    """The line of a mail's text that holds nothing but digits."""
    lines = ("".join(line.split()) for line in mail["text"].splitlines())
    return next(line for line in lines if line.isdigit() and 6 <= len(line) <= 10)


def trace(jaeger_url, trace_id):
    """Spans by id, each with its service, as Jaeger stores them; none while it knows nothing of the trace."""
    status, body = http(f"{jaeger_url}/api/v3/traces/{trace_id}")
    if status != 200:
        return {}
    spans = {}
    for resource in json.loads(body)["result"]["resourceSpans"]:
        attributes = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                spans[span["spanId"]] = {**span, "service": attributes["service.name"]["stringValue"]}
    return spans


def edges(spans):
    """Parent and child of every span that has its parent in the trace."""
    named = {span_id: (span["service"], span["name"]) for span_id, span in spans.items()}
    return {(named[span["parentSpanId"]], named[span_id]) for span_id, span in spans.items() if span.get("parentSpanId") in named}


def dependencies(jaeger_url):
    """Which service was seen to call which."""
    now = int(time.time() * 1000)
    body = http(f"{jaeger_url}/api/dependencies?endTs={now}&lookback={3_600_000}")[1]
    return {(one["parent"], one["child"]) for one in json.loads(body)["data"] or []}
