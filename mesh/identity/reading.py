"""Reading certificates, whoever made them."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mesh.errors import NotAuthenticated
from mesh.identity.files import JOIN_AGAIN
from mesh.identity.keys import PublicKey, is_supported, mesh_id_of

# All that cryptography raises on bytes that are no certificate or request, or on one that is
# malformed inside (found by changing bytes, see the tests).
MALFORMED = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)


def load_certificate(pem: bytes, *, what: str, mend: str = JOIN_AGAIN) -> x509.Certificate:
    """Parse a PEM certificate; ``what`` names it in the error and ``mend`` is the hint.

    Raises:
        NotAuthenticated: it is damaged, or for another kind of key than EC P-256.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        if is_supported(certificate.public_key()):
            return certificate
    except MALFORMED:
        pass  # the parser's words would mean nothing to whoever reads the error
    raise NotAuthenticated(f"{what} is damaged: no whole certificate of a mesh", hint=mend)


def certified_key(certificate: x509.Certificate) -> PublicKey:
    """Return the key of a certificate that ``load_certificate`` has admitted."""
    key = certificate.public_key()
    assert is_supported(key), "the certificate did not come from load_certificate"
    return key


def authority_mesh_id(authority_pem: bytes) -> str:
    """Return the id of the mesh whose CA has this certificate.

    Raises:
        NotAuthenticated: it is damaged.
    """
    return mesh_id_of(
        certified_key(load_certificate(authority_pem, what="the mesh CA's certificate"))
    )
