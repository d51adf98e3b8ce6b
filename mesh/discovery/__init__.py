"""How machines of a mesh find each other on a network, by mDNS (RFC 6762) and DNS-SD (RFC 6763).

Rules:

1. **What is heard is a hint.** Anyone on the network can say anything. A sighting may add an
   address to dial or a machine that waits for approval; it never admits, removes, renames or
   re-addresses an enrolled machine. Who dials proves the peer by its certificate.
2. **Optional.** Where multicast cannot be had, everything here keeps still and
   ``Responder.trouble`` says why in one line; seeds do the finding.
3. **Quiet.** An idle machine sends next to nothing; an advert changes at most six times a minute.
4. **Bounded.** Whatever strangers send, tables, queues and packets have a size that they keep.

Theory of operation: ``responder`` owns the process's sockets and follows the machine's
interfaces. ``advertiser`` turns an ``advert`` into the service's records, as often as ``pacing``
allows. ``browser`` hears ``records``, keeps a ``table`` of ``sighting`` objects and yields what
changed; ``question`` asks once, from a port of its own. ``nearby`` is all of that for one look.

Import from the modules: this package imports nothing, so that the pure ones stay cheap.
"""
