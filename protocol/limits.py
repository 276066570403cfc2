"""Sizes, counts and times that both ends keep. SPEC.md lists them (tested)."""

from __future__ import annotations

MAGIC = b"LOOM/1"
"""The first frame of every message."""

MAX_HEADER_BYTES = 64 * 1024
"""The msgpack header. Fields that do not fit travel in frames of their own."""

MAX_SPILLED_BYTES = 4 * 1024 * 1024
"""All fields of one message that did not fit into the header, together (about 40,000 file names)."""

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""One frame; both sockets set it as ZMQ_MAXMSGSIZE."""

MAX_MESSAGE_BYTES = 512 * 1024 * 1024
"""All frames of one message."""

MAX_ITEMS = 131_072
"""Values in a header or spilled field: 4 MiB of empty lists took msgpack 6 s, in which nobody else was answered."""

MAX_ARRAYS = 32
MAX_DIMENSIONS = 6
MAX_NESTING = 16
"""Levels of lists and maps in a header."""

MAX_TEXT = 8 * 1024
"""Characters of a name, sentence or stage. Longer sentences are cut by the sender."""

MAX_ID = 2**53 - 1
"""Request ids are 1 .. MAX_ID: integers that every language holds exactly."""

MAX_PENDING_PER_PEER = 256
"""Requests of one peer that have not ended; one more is answered `busy`."""

MAX_PENDING = 1024
"""Requests of all peers together."""

MAX_REQUEST_BYTES = 128 * 1024 * 1024
"""Everything that one request carries; more is answered `too_large`. A picture of 8192 px has 192 MiB in colour, but
comes as a file: what is sent along is looked at beside it."""

MAX_PENDING_BYTES = 1024 * 1024 * 1024
"""What the requests of all peers that have not ended carry together; more is answered `busy`."""

MAX_PEERS = 64
"""Greeted clients at once; one more is answered `busy`. A workstation has a handful, a script perhaps a dozen."""

MAX_CONNECTIONS = 256
"""Connections at once, greeted or not; one more is closed. Most systems let a process have 1,024 files open."""

HELLO_WITHIN_S = 10.0
"""A connection on which no hello has come for so long is closed."""

MAX_PICTURE_PX = 8192
"""Longest side of a picture, read or made."""

MAX_QUEUED_MESSAGES = 256
MAX_QUEUED_BYTES = MAX_MESSAGE_BYTES
"""What the server keeps for a peer that does not read; beyond, the peer is dropped."""

PROGRESS_INTERVAL_S = 0.1
"""At most ten progress messages a second for each request."""

KEEPALIVE_S = 2.0
"""A peer that is heard and has pending requests hears something at least this often, so that the server notices a
vanished one."""

UNHEARD_S = 5.0
"""A peer that was not heard for so long (clients ping more often) does not read, either: it hears only one message in
so long, so that those that it has not read do not reach its high-water mark, from where on its libzmq answers no
heartbeats."""

GRACE_S = 30.0
"""The requests of a peer that the transport does not know any more go on for so long: it may come back for them, also
when its whole process was suspended for half a minute."""

FORGET_S = 600.0
"""The server forgets a peer that waits for nothing and was silent for so long; it may say hello again."""

PING_INTERVAL_S = 2.0
"""How often the client pings while it is connected; feeds the status dot."""

MAX_PINGS = 16
"""Unanswered pings that the client remembers."""

HELLO_TIMEOUT_S = 10.0
"""No `welcome` for so long after a connection was opened: it is given up and opened anew."""

PATIENCE_S = 10.0
"""Without a connection for so long, pending requests fail with BackendLost."""

SILENT_PATIENCE_S = 60.0
"""The same where something listens and does not answer: a backend that is suspended goes on with its work later."""

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 32.0
"""Waiting time before the next attempt to connect: doubled each time, up to the maximum."""

BLOCKED_S = 1.0
"""A longer pause between two ticks means that the caller was blocked: that time counts against nobody."""

MAX_RETRIES = 2
"""How often an idempotent request is sent again after the backend was lost."""

HIGH_WATER_MARK = 32
"""ZMQ_SNDHWM of both sockets and ZMQ_RCVHWM of the server's, in messages: 1,000 previews of 3 MB would be 3 GB for one
slow reader."""

CLIENT_RECEIVE_MARK = 1_000
"""ZMQ_RCVHWM of the client's socket: what comes for it while Blender renders for an hour (`UNHEARD_S`)."""

HEARTBEAT_INTERVAL_MS = 2_000
HEARTBEAT_TIMEOUT_MS = 10_000
HEARTBEAT_TTL_MS = 10_000
"""ZMQ_HEARTBEAT_IVL, _TIMEOUT, _TTL on both sockets: answered by libzmq's own thread while Python is busy."""
