"""Certificate requests: a joiner's proof that it holds the key it wants a certificate for."""

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.errors import InvalidRequest
from mesh.identity.keys import PrivateKey, PublicKey, is_supported
from mesh.identity.reading import MALFORMED

REQUEST_BYTES_MAX = 16_384  # ours take 350; a guest's may carry extensions, which are ignored


def certificate_request(key: PrivateKey) -> bytes:
    """Return a PEM request (PKCS #10) for ``key``. It names nothing: the authority decides."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def requested_key(request_pem: bytes) -> PublicKey:
    """Return the public key that ``request_pem`` proves to hold. Nothing else of it is looked at.

    Raises:
        InvalidRequest: it is malformed, signed by another key, or not for an EC P-256 key.
    """
    if len(request_pem) > REQUEST_BYTES_MAX:
        raise _invalid(f"longer than {REQUEST_BYTES_MAX} bytes")
    try:
        request = x509.load_pem_x509_csr(request_pem)
        key = request.public_key()
        proven = request.is_signature_valid
    except MALFORMED:
        raise _invalid("malformed") from None
    if not is_supported(key):
        raise _invalid("for a key of another kind than EC P-256")
    if not proven:
        raise _invalid("not signed by the key it is for")
    return key


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"the certificate request is {why}", hint="update deskmesh on the machine that asks"
    )
