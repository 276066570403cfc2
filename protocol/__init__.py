"""The wire contract of Latent Loom: what the add-on and the backend say to each other. SPEC.md is normative.

    limits           sizes, times and counts that both ends keep
    errors           the error tree
    frames           header and arrays <-> a list of byte strings
    messages         the typed messages and the table of requests
    versions         what ends of different versions agree on
    client_state     the client's side of a connection, without sockets or clocks
    server_state     the server's side of all its connections, without sockets or clocks
    server_events    what that tells the loop that has the sockets
    admission        whom and how much a server takes
    data_folder      where the user's data live
    connection_file  how a client finds its backend and proves that it may talk to it
    transport        messages through a ZeroMQ socket, without waiting
    client           the one client with a socket (these two import zmq)

This module imports nothing, so that versions can be read where msgpack is missing.
"""

VERSION = "0.1.0"
"""Version of the distribution, of the extension and of the backend; pyproject.toml says the same (tested)."""

PROTOCOL = (1, 1)
"""(major, minor) of the wire. A minor version only adds; ends of different major versions refuse each other."""
