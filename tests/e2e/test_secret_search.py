"""The search for secrets finds what it has to find: otherwise that it finds nothing in a stack would mean nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.e2e.secret_search import SecretSearch, keys_in

pytestmark = pytest.mark.unit

FORMATS = serialization.PrivateFormat
PASSPHRASE = "3vPYk_d9sXw7hTq2LmB8"
KEY = ec.generate_private_key(ec.SECP256R1())


def pem(format_: serialization.PrivateFormat = FORMATS.TraditionalOpenSSL) -> str:
    return KEY.private_bytes(serialization.Encoding.PEM, format_, serialization.NoEncryption()).decode()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubeconfig() -> str:
    return f"users:\n- name: admin\n  user:\n    client-key-data: {encoded(pem())}\n"


HIDDEN = {
    "as it is": lambda text: text,
    "in JSON": lambda text: json.dumps({"stringData": {"tls.key": text}}),
    "in JSON in JSON": lambda text: json.dumps(json.dumps({"tls.key": text})),
    "without line breaks": lambda text: "".join(text.split("\n")),
    "in base64, as in a Secret": encoded,
    "in base64 of JSON": lambda text: encoded(json.dumps({"key": text})),
    "in base64 of a kubeconfig": lambda text: encoded(f"contexts: []\nusers:\n- client-key-data: {encoded(text)}\n"),
    "in arguments": lambda text: f"command\0--key={text}\0",
}


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN.keys())
@pytest.mark.parametrize("format_", [FORMATS.TraditionalOpenSSL, FORMATS.PKCS8, FORMATS.OpenSSH])
def test_a_key_is_found_however_it_is_written(format_: serialization.PrivateFormat, hide) -> None:  # type: ignore[no-untyped-def]
    search = SecretSearch()
    assert search.add("a key", pem(format_)) == 1
    assert search.within(b"before " + hide(pem(format_)).encode() + b" after") == {"a key"}


@pytest.mark.parametrize("hide", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_word_is_found_however_it_is_written(hide) -> None:  # type: ignore[no-untyped-def]
    search = SecretSearch()
    search.add_word("the passphrase", PASSPHRASE)
    for before in ("", "x", "xy"):
        assert search.within(hide(before + PASSPHRASE).encode()) == {"the passphrase"}, "whatever is before it shifts its base64"


def test_the_key_in_a_kubeconfig_is_learnt_and_so_is_a_token() -> None:
    search = SecretSearch()
    token = f"eyJ{'a' * 30}.{'b' * 40}.{'c' * 50}"
    assert search.add("a kubeconfig", f"{kubeconfig()}    token: {token}\n") == 2
    assert search.within(pem().encode()) == {"a kubeconfig"}
    assert search.within(encoded(token).encode()) == {"a kubeconfig"}


def test_what_is_public_is_no_find() -> None:
    search = SecretSearch()
    for format_ in (FORMATS.TraditionalOpenSSL, FORMATS.PKCS8, FORMATS.OpenSSH):
        search.add("a key", pem(format_))
    public = KEY.public_key()
    texts = [
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
        public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode(),
    ]
    for text in texts:
        for hide in HIDDEN.values():
            assert search.within(hide(text).encode()) == set(), "a public key stands in every state and certificate"


def test_files_with_a_secret_are_named(tmp_path: Path) -> None:
    search = SecretSearch()
    search.add("a key", pem())
    (tmp_path / "state.json").write_text(json.dumps({"outputs": {"privateKeyPem": pem()}}))
    (tmp_path / "other.json").write_text("{}")
    assert list(search.in_files([*tmp_path.iterdir(), tmp_path / "gone"])) == [(tmp_path / "state.json", {"a key"})]


def test_what_could_be_found_by_chance_or_not_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="3 characters; allowed: at least 12"):
        SecretSearch().add_word("x", "abc")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(serialization.Encoding.PEM, FORMATS.PKCS8, serialization.NoEncryption()).decode()
    with pytest.raises(TypeError, match="RSA"):
        list(keys_in(text))
