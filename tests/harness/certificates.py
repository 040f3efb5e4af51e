"""Certificates for tests: an authority, and what it signs, as files."""

import datetime
from dataclasses import dataclass
from pathlib import Path

import grpc
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Identity:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def arguments(self) -> list[str]:
        """Of `tensorwire serve`."""
        return ["--tls-certificate", str(self.certificate), "--tls-key", str(self.key)]


class Authority:
    """A root whose files are in `folder`."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.root = folder / "root.pem"
        self._ca.cert_pem.write_to_path(str(self.root))

    def issue(
        self,
        name: str,
        *identities: str,
        not_after: datetime.datetime | None = None,
    ) -> Identity:
        """A certificate for these names (default: this machine's), in files called `name`;
        those that are there are replaced."""
        early = datetime.datetime(2000, 1, 1) if not_after else None
        issued = self._ca.issue_cert(*(identities or NAMES), not_after=not_after, not_before=early)
        identity = Identity(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        identity.certificate.write_bytes(chain)
        identity.key.write_bytes(issued.private_key_pem.bytes())
        return identity

    def credentials(self, identity: Identity | None = None) -> grpc.ChannelCredentials:
        """For grpcio's clients that trust this root, and have a certificate or none."""
        if identity is None:
            return grpc.ssl_channel_credentials(self.root.read_bytes())
        return grpc.ssl_channel_credentials(
            self.root.read_bytes(), identity.key.read_bytes(), identity.certificate.read_bytes()
        )


def self_signed(folder: Path, encrypt: bool = False) -> Identity:
    """As `openssl req -x509` makes it: its own root. `encrypt`: its key has a passphrase."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    protection = serialization.BestAvailableEncryption(b"secret") if encrypt else None
    identity = Identity(folder / "own.pem", folder / "own.key")
    identity.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            protection or serialization.NoEncryption(),
        )
    )
    return identity
