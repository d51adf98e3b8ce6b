"""The gRPC services: they check who calls, translate, post events, and write what follows."""
