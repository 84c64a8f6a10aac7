"""Keep credentials out of addresses, and out of what is logged, shown or written.

Addresses in a text are found and taken apart as a library would: what stands before an `@`, and
values whose names sound secret. Besides, the values of this process's own secret variables are
blotted out wherever they occur, and tokens that are known by their look.
"""

import os
import re
from functools import lru_cache
from urllib.parse import quote, unquote

from vlmsel.errors import VlmselError, one_line

BLOT = "***"
# A library may put a whole document into its message.
LONGEST_REASON = 500
# Object stores and servers, where a / ends the host for sure and an @ may be a part of a path.
_PLAIN_SCHEMES = frozenset({"http", "https", "s3", "gs", "file"})
_END = r"\s'\"<>`"
_ADDRESS = re.compile(rf"([A-Za-z][A-Za-z0-9+.-]*)://([^{_END}]*)")
# A password with a blank in it ends at an @ that a host follows.
_BLANK_PASSWORD = re.compile(
    rf"([A-Za-z][A-Za-z0-9+.-]*://[^{_END}/@:]+:)(?!\d{{1,5}}\b)(?=\S)"
    r"[^@\n'\"<>`]* [^@\n'\"<>`]*@(?=\w)"
)
_STRONG = (
    r"[\w.-]*(?:token(?!i[sz]|s\b)|secret|passw(?:or)?d|passphrase|signature|access[_-]?key|"
    r"api[_-]?key|account[_-]?key|private[_-]?key|session[_-]?id)[\w.-]*"
)
# Secret only as a value of a query, a fragment or a list of options.
_WEAK = r"[\w.-]*(?:key|credential)[\w.-]*|sig|pwd|pass|auth|code|sas|jwt"
_VALUE = rf"(?:(?!%26|%3B)[^{_END}&;,)])+"
_PAIR = re.compile(
    rf"((?:(?<![\w.-])(?:{_STRONG})|(?:[?&;#={{]|%(?:3B|26|3F|3D|7B|20))(?:{_WEAK}))(?:=|%3D))({_VALUE})",
    re.IGNORECASE,
)
# A header, or a document of JSON or YAML.
_FIELD = re.compile(
    rf"((?<![\w.-])(?:{_STRONG})['\"]?\s?:\s?)(?:(['\"])[^'\"]+\2|(?!//)[^{_END},;}}]+)",
    re.IGNORECASE,
)
_SCHEME_WORD = re.compile(
    r"\b(Bearer\s+|Basic\s+(?=\S*[0-9=]))[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE
)
_KNOWN_TOKEN = re.compile(
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{12,}|hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|"
    r"github_pat_\w{30,}|xox[abprs]-[A-Za-z0-9-]{10,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|"
    r"AIza[\w-]{30,}|ya29\.[\w-]{20,})"
)
# Whoever knows the path of such an address may write there.
_WEBHOOK = re.compile(r"^(hooks\.|[^/]*webhook)|/webhooks?[/\w]", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|PWD$|CREDENTIAL|ACCESS_KEY|API_?KEY|PRIVATE_KEY|ACCOUNT_KEY|"
    r"CONNECTION_STRING",
    re.IGNORECASE,
)
# Shorter values, and words of any text, would blot out what is no secret.
_SHORTEST_SECRET = 8
_NO_SECRETS = frozenset({"disabled", "required", "optional", "password"})
# As urllib reads it: blanks may lead, and a scheme is the same in any case.
_AUTHORITY = re.compile(r"\s*([a-z][a-z0-9+.-]*)://([^/?#]*)", re.IGNORECASE)


def redact(text: object) -> str:
    """The text with every credential in it blotted out."""
    found = str(text)
    if (secrets := _secret_pattern()) is not None:
        found = secrets.sub(BLOT, found)
    if "://" in found:
        found = _BLANK_PASSWORD.sub(rf"\1{BLOT}@", found)
        found = _ADDRESS.sub(_without_user, found)
    if "=" in found or "%3D" in found or "%3d" in found:
        found = _PAIR.sub(rf"\1{BLOT}", found)
    if ":" in found:
        found = _FIELD.sub(rf"\1\2{BLOT}\2", found)
    return _KNOWN_TOKEN.sub(BLOT, _SCHEME_WORD.sub(rf"\1{BLOT}", found))


def describe_error(error: BaseException) -> str:
    """An error's message on one line without secrets, with its class where it is none of ours."""
    if isinstance(error, SystemExit):
        return f"its code asked to exit (SystemExit {error.code})"
    text = redact(one_line(error))[:LONGEST_REASON]
    if isinstance(error, VlmselError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def explain_refusal(address: str) -> str | None:
    """Say why an address of images or of a store is refused: it holds credentials; else None.

    Addresses are remembered beside the cells and logged, so secrets have no place in them. No
    bucket's name has a colon: one is a key and its secret, even where a slash in the secret hides
    the @ behind it. The reason repeats nothing of the address but its scheme.
    """
    found = _AUTHORITY.match(address)
    if found is None:
        return None
    scheme, authority = found[1].lower(), unquote(found[2])
    in_bucket = "@" in authority or (scheme in ("s3", "gs") and ":" in authority)
    if not in_bucket and not _is_secret(f"?{address.partition('?')[2]}"):
        return None
    places = {
        "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, an AWS profile or a role",
        "gs": "GOOGLE_APPLICATION_CREDENTIALS or a service account",
    }
    where = f" ({places[scheme]})" if scheme in places else ""
    return f"no credentials in {scheme}:// addresses: put them into the environment{where}"


def _is_secret(query: str) -> bool:
    plain = unquote(unquote(query))
    return redact(query) != query or redact(plain) != plain


def _without_user(match: re.Match[str]) -> str:
    scheme, rest = match[1], match[2]
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if scheme.lower() in _PLAIN_SCHEMES and _WEBHOOK.search(rest):
        return f"{scheme}://{host.rpartition('@')[2]}/{BLOT}"
    if "%40" in host:
        return f"{scheme}://{BLOT}@{host.rpartition('%40')[2]}{rest[len(host) :]}"
    _, at, after = rest.rpartition("@")
    if not at:
        return match[0]
    # A / # or ? in a password makes a host of the user, with a "port" that is none.
    port = host.partition(":")[2]
    hides_user = ":" in host and not (port.isdigit() and scheme.lower() in _PLAIN_SCHEMES)
    if "@" not in host and not hides_user:
        return match[0]
    if "@" in host and not hides_user:
        after = rest[len(host.rpartition("@")[0]) + 1 :]
    return f"{scheme}://{BLOT}@{after}"


def _secret_pattern() -> re.Pattern[str] | None:
    """The values of this process's secret variables as one pattern."""
    return _pattern(frozenset(os.environ.items()))


@lru_cache(maxsize=8)
def _pattern(environment: frozenset[tuple[str, str]]) -> re.Pattern[str] | None:
    values = {value for name, value in environment if _SECRET_VARIABLE.search(name)}
    # An address in the environment may hold a password that a library shows without the address.
    for _, value in environment:
        if "@" in value and (found := _AUTHORITY.match(value)):
            user = value[found.start(2) :].rpartition("@")[0]
            password = user.partition(":")[2]
            values |= {password, unquote(password)}
    # A name of a file is no secret.
    kept = {
        value
        for value in values
        if len(value) >= _SHORTEST_SECRET
        and value.lower() not in _NO_SECRETS
        and not value.startswith(("/", "~", "./"))
    }
    kept |= {quote(value, safe="") for value in kept}
    longest_first = sorted(kept, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if kept else None
