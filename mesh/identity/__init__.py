"""Who is who in a mesh: keys, the mesh CA, certificates, join codes and the TLS made of them.

How a machine joins, and who vouches for what::

    coordinator                                     joiner
    Authority.create_or_load       (authority.py)
    Invitations.invite -> JoinCode (invitations.py, joincode.py)  ...  pasted by a person
                                                    fetch_authority: the CA certificate, unverified,
                                                      is compared with the code   (bootstrap.py)
                                                    joining_credentials: verified by that CA, under
                                                      the coordinator's name      (tls.py)
                                                    certificate_request + secret  (request.py)
    Invitations.redeem, Authority.issue -> certificate
                                                    IdentityStore.save            (store.py)
    server_credentials             (tls.py)  <-->   channel_credentials           (tls.py)
    peer_identity: role and fingerprint of whoever calls  (peer.py)

The rules that the rest relies on:

1. A fingerprint is the sha256 of a public key; a node's id is its fingerprint.
2. What a machine may do is in its certificate, and the authority alone decides what goes there.
3. Peers are verified by mesh CA and mesh id, never by address. Only the coordinator's certificate
   carries the coordinator's name, and only it may serve, so no enrolled machine can pose as one.
4. A private key never leaves the file it was made for: it is in no message, repr, log or error.
5. Files of this package are whole or absent, and made for their owner alone.
"""
